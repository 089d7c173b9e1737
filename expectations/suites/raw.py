"""Rules of Raw: the delivery of a window is complete and unchanged."""

from contracts.render.to_gx import WARNING, Rule, equal, not_empty
from expectations.suites.comparisons import zero


def object_rules(may_be_empty: bool = False) -> tuple[Rule, ...]:
    """Return the rules on the objects of a manifest, compared with the store."""
    some = () if may_be_empty else (not_empty("a window without objects did not arrive"),)
    return (
        equal("bytes_stored", "bytes", "Raw keeps objects unchanged"),
        equal("sha256_stored", "sha256", "Raw keeps objects unchanged"),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "no problem",
            "an unreadable file is landed, but not processed",
            "problem",
        ),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "rows of the window",
            "a whole file is landed by a window that covers it",
            "beyond_window",
        ),
        zero("rows_beyond", "rows dated outside the window are processed on their dates", WARNING),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "the declared layout",
            "sources/ declares the columns and types of each file",
            "layout_problem",
        ),
        equal("schema_version", "schema_version_declared", "the layout it landed with is declared"),
        Rule("ExpectColumnValuesToNotBeNull", "not_null", "a count", "a file was counted", "rows"),
        Rule(
            "ExpectColumnValuesToBeUnique",
            "unique",
            "new content",
            "two days with the same bytes: a source sent an old day again",
            "content",
        ),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "new content",
            "in the four weeks before it no other file had the same bytes: an old day sent again",
            "sent_before_as",
        ),
        Rule("ExpectColumnValuesToBeUnique", "unique", "listed once", "a manifest is a set", "key"),
        *some,
    )


def message_rules() -> tuple[Rule, ...]:
    """Return the rules on the messages of each partition of a stream."""
    return (
        equal("with_outcome", "sent", "each message that was sent is validated or rejected"),
        zero("repeated", "Processed drops a payment that arrives again unchanged", WARNING),
    )


def day_rules() -> tuple[Rule, ...]:
    """Return the rules on the days of a window."""
    return (
        zero(
            "rows_missing",
            "the source declares the fewest rows that a whole day has; a closed day has none",
        ),
        zero("rows_excess", "the source declares the most rows that a day has"),
        zero("rows_of_closed_day", "the source declares the days on which it is closed", WARNING),
    )


def manifest_rules() -> tuple[Rule, ...]:
    """Return the rules on the manifests themselves."""
    return (
        equal("source_known", "yes", "only declared sources are processed"),
        equal("window", "window_asked", "the manifest is that of the window"),
        equal("landed_after_window", "yes", "a day that is not over cannot have arrived whole"),
        equal(
            "landed_before_now",
            "yes",
            "nothing lands in the future; clocks of machines differ by minutes at most",
        ),
        equal(
            "landed_fresh",
            "yes",
            "the source declares how late a window may come; history is loaded late on purpose",
            WARNING,
        ),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "every file taken",
            "a file beside the deliveries may be one that was named or packed wrongly",
            "not_taken",
            WARNING,
        ),
        Rule(
            "ExpectColumnValuesToBeNull",
            "none",
            "every payment sent again",
            "a payment that a corrected delivery lacks may be one that its source took back",
            "not_sent_again",
            WARNING,
        ),
        not_empty(),
    )
