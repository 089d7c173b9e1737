"""Numbers as a source writes them in text, and as every engine reads them."""

import re
from dataclasses import dataclass
from typing import Literal

from contracts.values import EXPONENT, canonical

DecimalSign = Literal[".", ","]
ThousandsSign = Literal["", ".", ",", " ", "'", "\u2019"]


@dataclass(frozen=True)
class NumberFormat:
    """How a source writes amounts, balances and coordinates in text; `1.234,56` has both signs.

    - `decimal_sign`: before the fraction.
    - `thousands_sign`: between groups of three digits, which a number need not have. A blank also
      stands for the no-break spaces that spreadsheets write.
    - `minor_units`: amounts and balances are whole numbers of the currency's smallest unit, cents.
    """

    decimal_sign: DecimalSign = "."
    thousands_sign: ThousandsSign = ""
    minor_units: bool = False

    @property
    def is_plain(self) -> bool:
        """Return whether numbers are written as every engine reads them."""
        return (self.decimal_sign, self.thousands_sign) == (".", "")

    @property
    def expression(self) -> str:
        """Return the regular expression of a number, for Python, Java and RE2, without anchors."""
        group = re.escape(self.thousands_sign)
        whole = "[0-9]+" if not group else rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)"
        return rf"[+-]?{whole}(?:{re.escape(self.decimal_sign)}[0-9]+)?{EXPONENT}"

    def plain(self, text: str | None) -> str | None:
        """Return a text with a decimal point and without groups; None when it is no such number.

        >>> german = NumberFormat(",", ".")
        >>> german.plain("1.234,56"), german.plain("12.50"), german.plain("12,5")
        ('1234.56', None, '12.5')
        """
        written = canonical(text or "")
        if not re.fullmatch(self.expression, written):
            return None
        digits = written.replace(self.thousands_sign, "") if self.thousands_sign else written
        return digits.replace(self.decimal_sign, ".")
