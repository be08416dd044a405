# METADATA
# title: Dates
# description: >-
#   Every comparison is with `input.now`, the one reference time of the decision; the clock of the
#   machine is not available to policies. A text that is not an RFC 3339 instant is undefined, so a
#   condition that needs it does not hold.
package lib.dates

# METADATA
# title: The reference time in nanoseconds
now := ns(input.now)

# METADATA
# title: An RFC 3339 instant in nanoseconds since 1970
# description: >-
#   Nanoseconds end in 2262, and a parse beyond that is an error of the whole query. A window that
#   is meant never to end must not stop every decision, so a later instant counts as `last`.
ns(text) := nanoseconds(text) if instant(text)

nanoseconds(text) := time.parse_rfc3339_ns(text) if {
	text < "2200"
} else := last

# METADATA
# title: The latest instant that is told apart, 2200-01-01
last := 7258118400000000000

# METADATA
# title: Whether an instant is later than now
future(text) if ns(text) > now

# METADATA
# title: Whether an instant is past, but by no more than some days
# description: A day is 24 hours. An instant in the future is not within.
within_days(text, days) if {
	is_number(days)
	age := now - ns(text)
	age >= 0
	age <= days * day_ns
}

# METADATA
# title: Whether an instant is past or comes before so many days have gone by
ends_within_days(text, days) if {
	is_number(days)
	ns(text) - now < days * day_ns
}

# METADATA
# title: Whether an instant comes when so many days have gone by, or later
lasts_days(text, days) if {
	is_number(days)
	ns(text) - now >= days * day_ns
}

day_ns := 86400000000000

# METADATA
# title: Whether a text is an RFC 3339 instant
# description: >-
#   A day that its month does not have passes here and is an error of the whole query, which the gate
#   takes for a denial.
instant(text) if {
	is_string(text)

	# regal ignore:line-length
	regex.match(`^(19[7-9]|2\d\d|[3-9]\d\d)\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`, text)
}
