# METADATA
# title: How a rule says no
# description: >-
#   Code, citation, remedy, term, date and state are written once, in the METADATA of the rule that
#   fires, and are read from there. A rule that forgot one of them still denies: an absent annotation
#   becomes an empty text and the state `enforced`, never an undefined result.
package lib.violation

import data.lib.dates

# METADATA
# title: The violation of a jurisdiction's rule
# description: >-
#   `rule` is `rego.metadata.rule()` of the calling rule; `subject` is the model id or environment id
#   that the message is about. The jurisdiction is the part of the code before the first dot.
new(rule, subject, message) := about(rule, split(code(rule), ".")[0], subject, message)

# METADATA
# title: A violation with a jurisdiction named by the caller
# description: The entrypoint uses this; an empty jurisdiction means the call as a whole.
about(rule, jurisdiction, subject, message) := {
	"code": code(rule),
	"jurisdiction": jurisdiction,
	"message": message,
	"citation": object.get(rule, ["custom", "citation"], ""),
	"remedy": object.get(rule, ["custom", "remedy"], ""),
	"subject": subject,
	"term": object.get(rule, ["custom", "term"], ""),
	"effective_on": object.get(rule, ["custom", "effective_on"], ""),
	"state": state(rule),
	"authority": "",
}

# METADATA
# title: The code of a rule
code(rule) := said if {
	said := object.get(rule, ["custom", "code"], "")
	is_string(said)
	said != ""
} else := "unnamed_rule"

# METADATA
# title: Whether a rule denies
# description: >-
#   `shadow` if it says so, `pending` before the date from which its provision applies, otherwise
#   `enforced`. In doubt a rule is enforced.
state(rule) := "shadow" if {
	object.get(rule, ["custom", "state"], "enforced") == "shadow"
} else := "pending" if {
	pending(rule)
} else := "enforced"

pending(rule) if {
	is_string(rule.custom.effective_on)
	dates.future(concat("", [rule.custom.effective_on, "T00:00:00Z"]))
	not brought_forward(rule)
}

# An operator may hold itself to a rule before the law does. Without the list every rule is enforced.
brought_forward(rule) if code(rule) in data.params.admission.enforce_early

brought_forward(_) if not listed

listed if is_array(data.params.admission.enforce_early)
