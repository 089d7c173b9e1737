"""ISO 4217: currencies and funds in use, those withdrawn since 2000, and XXX for none."""

from decimal import Decimal
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
    BOV CHE CHW CLF COU MXV USN UYI UYW
    """.split()  # noqa: SIM905 - a list of 170 quoted codes reads worse
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
    BEF BIF BYR CLP DJF ESP GNF GRD ISK ITL JPY KMF KRW LUF MGF PTE PYG ROL RWF TRL UGX UYI VND VUV
    XAF XOF XPF
    """.split()  # noqa: SIM905 - as above
)
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
USUAL_DIGITS: Final = 2
UNUSUAL_DIGITS: Final = {0: _NO_DECIMALS, 3: _THREE_DECIMALS, 4: frozenset({"CLF", "UYW"})}
"""Currencies by the digits of their minor unit. All others have `USUAL_DIGITS`."""


def minor_unit_digits(currency: str) -> int:
    """Return the decimals of a currency: those of its minor unit, two for one that is unknown.

    >>> [minor_unit_digits(code) for code in ("JPY", "EUR", "KWD", "CLF", "XXX")]
    [0, 2, 3, 4, 2]
    """
    return next((digits for digits, of in UNUSUAL_DIGITS.items() if currency in of), USUAL_DIGITS)


def formatted(amount: Decimal, currency: str) -> str:
    """Return an amount with the decimals of its currency, or with more if it has more.

    >>> formatted(Decimal("35.0000"), "EUR"), formatted(Decimal("1.2340"), "KWD")
    ('35.00', '1.234')
    """
    rounded = amount.quantize(Decimal(1).scaleb(-minor_unit_digits(currency)))
    return f"{rounded if rounded == amount else amount.normalize():f}"
