package lib.dates_test

import data.lib.dates

at := {"now": "2026-09-01T12:00:00Z"}

test_an_instant_is_counted_in_nanoseconds if {
	dates.ns("1970-01-01T00:00:01.5Z") == 1500000000
	dates.ns("1970-01-01T01:00:00+01:00") == 0
}

test_a_window_without_end_does_not_break_the_decision if {
	dates.ns("9999-12-31T23:59:59Z") == dates.last
	dates.ns("2200-01-01T00:00:00Z") == dates.last
	time.parse_rfc3339_ns("2200-01-01T00:00:00Z") == dates.last
	dates.future("9999-12-31T23:59:59Z") with input as at
}

test_what_is_no_instant_is_undefined if {
	texts := {
		"", "soon", "2026-09-01", "2026-09-01 12:00:00Z", "1969-12-31T23:59:59Z", 1, null,
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00Z\n",
	}
	{text | some text in texts; dates.ns(text)} == set()
}

test_future_is_strictly_later if {
	dates.future("2026-09-01T12:00:01Z") with input as at
	not dates.future("2026-09-01T12:00:00Z") with input as at
	not dates.future("2026-09-01T12:00:01Z") with input as {}
}

test_within_days_has_two_ends if {
	dates.within_days("2026-09-01T12:00:00Z", 1) with input as at
	dates.within_days("2026-08-31T12:00:00Z", 1) with input as at
	not dates.within_days("2026-08-31T11:59:59Z", 1) with input as at
	not dates.within_days("2026-09-01T12:00:01Z", 1) with input as at
}

test_a_limit_that_is_no_number_is_never_met if {
	not dates.within_days("2026-09-01T12:00:00Z", null) with input as at
	not dates.within_days("2026-09-01T12:00:00Z", "9") with input as at
	not dates.ends_within_days("2026-09-01T12:00:00Z", null) with input as at
}

test_ends_within_days_has_one_end if {
	dates.ends_within_days("2026-08-01T00:00:00Z", 1) with input as at
	dates.ends_within_days("2026-09-02T11:59:59Z", 1) with input as at
	not dates.ends_within_days("2026-09-02T12:00:00Z", 1) with input as at
}

test_what_does_not_end_within_days_lasts_them if {
	not dates.lasts_days("2026-09-02T11:59:59Z", 1) with input as at
	dates.lasts_days("2026-09-02T12:00:00Z", 1) with input as at
	not dates.lasts_days("2026-09-02T12:00:00Z", null) with input as at
}
