# METADATA
# title: United States, financial sector
# description: >-
#   What the supervisory guidance on model risk management asks of a model called by a banking
#   organisation, beside the rules of `us`, as far as signed evidence can show it. The guidance does not
#   bind, and that the rules hold is not conformity with it.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params["us-finance"]: schema["params.us-finance.schema"]
package jurisdiction["us-finance"]

import data.lib.facts
import data.lib.violation
import data.params["us-finance"] as params

# SR 11-7 and OCC Bulletin 2011-12 of 4 April 2011 were rescinded on 17 April 2026 and replaced by SR 26-2 and OCC
# Bulletin 2026-13. Both are guidance and not enforceable; the new one keeps validation, effective
# challenge and ongoing monitoring as principles, is meant for larger organisations (over 30 billion
# dollars in assets), and leaves generative and agentic AI out of its scope, to be governed by the
# organisation's broader risk management. So the rules state what an operator who names this sector
# chooses to be held to. Number, date and scope are as several who read the new guidance report them in
# agreement; its own text was not at hand, so no section of it is cited.

# METADATA
# title: The name under which the sector's rules answer
id := "us-finance"

# METADATA
# title: Validation was independent
# description: >-
#   Every suite was scored by somebody other than the producer, and the customer's approval in force declares
#   `independent-validation`: by whom, or under which reference. Whether the validation was sound is left
#   to people.
# custom:
#   code: us-finance.independent_validation
#   citation: SR 26-2 / OCC Bulletin 2026-13 (before 17 April 2026, SR 11-7 / OCC 2011-12, section V), validation
#   remedy: Have a validator other than the producer run the suites; approve with the declaration independent-validation.
#   term: adaptations[].approvals[].declarations
#   effective_on: "2026-04-17"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not validated(i)
	message := "no independent validation is declared, or the producer alone scored a suite"
}

validated(i) if {
	facts.approval_declares(i, "customer", "independent-validation", params.undeclared)
	facts.independently_scored(i)
}

# METADATA
# title: The model was challenged effectively
# description: >-
#   The customer's approval in force declares `effective-challenge`: by whom, or under which reference.
#   Whether the challengers had incentives, competence and influence is left to people.
# custom:
#   code: us-finance.effective_challenge
#   citation: SR 26-2 / OCC Bulletin 2026-13 (before 17 April 2026, SR 11-7 / OCC 2011-12, section III), effective challenge
#   remedy: Have the model challenged; approve with the declaration effective-challenge.
#   term: adaptations[].approvals[].declarations
#   effective_on: "2026-04-17"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not challenged(i)
	message := "no customer's approval in force declares an effective challenge"
}

challenged(i) if facts.approval_declares(i, "customer", "effective-challenge", params.undeclared)

# METADATA
# title: The model is monitored
# description: >-
#   A regression suite was performed within the number of days set in data, and the customer declares
#   `monitoring-plan` for the environment. What the plan watches is left to people.
# custom:
#   code: us-finance.ongoing_monitoring
#   citation: SR 26-2 / OCC Bulletin 2026-13 (before 17 April 2026, SR 11-7 / OCC 2011-12, section V), ongoing monitoring
#   remedy: Declare monitoring-plan for the environment; have the regression suite run again and countersigned.
#   term: adaptations[].suites
#   effective_on: "2026-04-17"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not monitored(i)
	message := "no monitoring plan is declared, or the last regression suite is too old"
}

monitored(i) if {
	facts.environment_declares("monitoring-plan", params.undeclared)
	facts.suite_performed(i, "regression", params.monitoring_max_age_days)
}
