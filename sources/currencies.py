"""ISO 4217: currencies in use, those withdrawn since 2000, and XXX for sources without one."""

from typing import Final

_IN_USE: Final = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
    BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
    GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF
    KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
    MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH
    UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XDR XOF XPF XXX YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list of 160 quoted codes reads worse
)
_WITHDRAWN: Final = frozenset(
    """
    AFA ANG ATS AZM BEF BYR CSD CUC CYP DEM ECS EEK ESP FIM FRF GHC GRD HRK IEP ITL LTL LUF LVL MGF
    MRO MTL MZM NLG PTE ROL SDD SIT SKK SLL SRG STD TMM TRL VEB VEF ZMK ZWD ZWL ZWN ZWR
    """.split()  # noqa: SIM905 - as above
)
"""Codes of list three, which payments of their time have."""
ISO_4217: Final = _IN_USE | _WITHDRAWN
UNKNOWN_CURRENCY: Final = "XXX"
"""Code under which amounts with an unknown currency are counted."""

_NO_DECIMALS: Final = frozenset(
    """
    BEF BIF BYR CLP DJF ESP GNF GRD ISK ITL JPY KMF KRW LUF MGF PTE PYG ROL RWF TRL UGX VND VUV XAF
    XOF XPF
    """.split()  # noqa: SIM905 - as above
)
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_USUAL_DIGITS: Final = 2


def minor_unit_digits(currency: str) -> int:
    """Return the decimals of a currency: those of its minor unit, two for one that is unknown.

    >>> [minor_unit_digits(code) for code in ("JPY", "EUR", "KWD", "XXX")]
    [0, 2, 3, 2]
    """
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else _USUAL_DIGITS


UNDIVIDED: Final = tuple(sorted(code for code in ISO_4217 if minor_unit_digits(code) == 0))
"""Currencies without a minor unit. Of all others the storage has two decimals."""
