package admission

import data.lib.dates
import data.lib.violation

# A waiver excuses one enforced rule for one subject, if every jurisdiction on whose behalf the
# rule's package was asked has waived it. Only waivers that a regulator of the jurisdiction signed
# and that stand reach the facts; a violation of the call as a whole is no rule of a package and
# cannot be excused.

excused(id, found) if {
	found.state == "enforced"
	startswith(found.code, concat("", [id, "."]))
	count(held_to[id]) > 0
	every jurisdiction in held_to[id] {
		count(excuses(found, jurisdiction)) > 0
	}
}

excuses(found, jurisdiction) := {waiver |
	some waiver in input.waivers
	waiver.rule == found.code
	waiver.subject == found.subject
	waiver.jurisdiction == jurisdiction
	dates.future(waiver.not_after)
}

# What is excused stays to be seen, with the authority that answers for it.
waived contains object.union(found, {
	"state": "waived",
	"authority": concat(", ", sort({waiver.authority | some waiver in used(id, found)})),
}) if {
	some [id, found] in reported
	excused(id, found)
}

used(id, found) := {waiver |
	some jurisdiction in held_to[id]
	some waiver in excuses(found, jurisdiction)
}

# METADATA
# title: A waiver is about to end
# description: A warning while a waiver that a decision needs has fewer days left than the number set in data.
# custom:
#   code: waiver_ending
#   citation: docs/policy-authors.md, "Waivers"
#   remedy: Meet the rule, or ask the regulator for another waiver.
#   term: waivers[].not_after
ending contains object.union(
	violation.about(rego.metadata.rule(), waiver.jurisdiction, waiver.subject, message),
	{"state": "advisory", "authority": waiver.authority},
) if {
	some [id, found] in reported
	excused(id, found)
	some waiver in used(id, found)
	not lasting(waiver)
	message := sprintf("the waiver of %v for %v ends at %v", [waiver.authority, waiver.rule, waiver.not_after])
}

lasting(waiver) if {
	is_number(data.params.admission.waiver_warning_days)
	not soon_over(waiver)
}

soon_over(waiver) if dates.ends_within_days(waiver.not_after, data.params.admission.waiver_warning_days)
