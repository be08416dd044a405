# METADATA
# title: How a rule says no
# description: >-
#   Code, citation and remedy are written once, in the METADATA of the rule that fires, and are read
#   from there. A rule that forgot one of them still denies: an absent annotation becomes an empty
#   text, never an undefined result.
package lib.violation

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
}

# METADATA
# title: The code of a rule
code(rule) := object.get(rule, ["custom", "code"], "unnamed_rule")
