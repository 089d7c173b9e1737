"""Why a row is refused: the closed list of quarantine reasons."""

from enum import StrEnum

from contracts.values import CLOCK_TOLERANCE


class RejectReason(StrEnum):
    """A reason code in `processed.quarantine.reasons`."""

    UNREADABLE_ROW = "unreadable_row"
    MISSING_EVENT_ID = "missing_event_id"
    MISSING_CUSTOMER = "missing_customer"
    DAMAGED_IDENTIFIER = "damaged_identifier"
    UNPRINTABLE_TEXT = "unprintable_text"
    OVERLONG_TEXT = "overlong_text"
    UNREADABLE_TIME = "unreadable_time"
    IMPLAUSIBLE_TIME = "implausible_time"
    FUTURE_TIME = "future_time"
    UNREADABLE_AMOUNT = "unreadable_amount"
    EXCESS_DECIMALS = "excess_decimals"
    NEGATIVE_AMOUNT = "negative_amount"
    ABSURD_AMOUNT = "absurd_amount"
    UNKNOWN_CURRENCY = "unknown_currency"
    IMPOSSIBLE_PLACE = "impossible_place"
    UNKNOWN_CODE = "unknown_code"
    UNREADABLE_FEATURE = "unreadable_feature"
    WITHDRAWN = "withdrawn"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"


DESCRIPTIONS: dict[RejectReason, str] = {
    RejectReason.UNREADABLE_ROW: "the row was cut or damaged: its fields cannot be separated",
    RejectReason.MISSING_EVENT_ID: "the row has no payment identifier",
    RejectReason.MISSING_CUSTOMER: "the row has no payer",
    RejectReason.DAMAGED_IDENTIFIER: "an identifier was rounded by a spreadsheet, as 4.78E+18",
    RejectReason.UNPRINTABLE_TEXT: "a text has a control character, as NUL, or is not UTF-8",
    RejectReason.OVERLONG_TEXT: "a text is longer than any of its kind may be",
    RejectReason.UNREADABLE_TIME: "the time of the payment is missing or cannot be read",
    RejectReason.IMPLAUSIBLE_TIME: "the payment is dated outside the declared range of the source",
    RejectReason.FUTURE_TIME: (
        f"the payment is dated more than {CLOCK_TOLERANCE.seconds // 60} minutes after its arrival"
    ),
    RejectReason.UNREADABLE_AMOUNT: "the amount is missing or not a number",
    RejectReason.EXCESS_DECIMALS: "the amount has more decimals than its currency",
    RejectReason.NEGATIVE_AMOUNT: "the amount is below zero",
    RejectReason.ABSURD_AMOUNT: "the amount is above the declared limit of the source",
    RejectReason.UNKNOWN_CURRENCY: "the currency is not an ISO 4217 code",
    RejectReason.IMPOSSIBLE_PLACE: "a latitude or longitude lies outside the globe",
    RejectReason.UNKNOWN_CODE: "a coded column holds a value outside its declared list",
    RejectReason.UNREADABLE_FEATURE: "a source feature is no finite number",
    RejectReason.WITHDRAWN: "the payment, its payer, its payee or its delivery was withdrawn",
    RejectReason.CONFLICTING_DUPLICATE: "the payment is known already, with other content",
}
