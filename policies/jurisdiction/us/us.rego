# METADATA
# title: United States
# description: >-
#   Outcomes of the NIST AI Risk Management Framework 1.0 (NIST AI 100-1, 26 January 2023), as far as
#   the signed evidence of an adaptation can show them. The framework is voluntary; an operator who
#   names this jurisdiction chooses to be held to it. That the rules hold is not conformity with it. The
#   laws of the states are not drawn on.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params.us: schema["params.us.schema"]
package jurisdiction.us

import data.lib.dates
import data.lib.facts
import data.lib.violation
import data.params.us as params

# Executive orders as of November 2026, and why no rule rests on one:
#
# * Revoked: EO 14110 of 30 October 2023 (safe, secure and trustworthy AI), on 20 January 2025 by EO
#   14148; EO 14141 of 14 January 2025 (AI infrastructure), on 23 July 2025 by EO 14318. Nothing here
#   derives from them.
# * In force: EO 13859 of 11 February 2019 and EO 13960 of 3 December 2020 (AI in government), EO 14179
#   of 23 January 2025 (removing barriers to American leadership in AI), EO 14318, EO 14319 and EO 14320
#   of 23 July 2025 (data centers, federal procurement, exports), EO 14363 of 24 November 2025 (the
#   Genesis Mission), EO 14365 of 11 December 2025 (a national policy framework) and EO 14409 of 2 June
#   2026 (frontier models and cyber defense, voluntary for developers). That no later order touched these
#   could not be confirmed. They address federal agencies and put no duty on the caller of a model that
#   evidence about an adaptation could prove.
# * The NIST framework was directed by the National Artificial Intelligence Initiative Act of 2020,
#   not by an executive order. Its revision was called for in July 2025 (America's AI Action Plan); a
#   later version could not be confirmed, so the rules cite 1.0.

# METADATA
# title: The name under which an environment asks for this jurisdiction
id := "us"

# METADATA
# title: Someone is named as responsible
# description: >-
#   The environment declares an owner. Lines of communication inside the owner's organisation are left
#   to people.
# custom:
#   code: us.govern_owner
#   citation: NIST AI RMF 1.0, GOVERN 2.1
#   remedy: Declare the owner of the environment.
#   term: environment.owner
#   effective_on: "2023-01-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not owned
	message := "the environment declares no owner"
}

owned if facts.declared(input.environment.owner, params.undeclared)

# METADATA
# title: Purpose and setting are declared
# description: >-
#   The environment declares a purpose and a sector. Whether the adaptation suits them is for the
#   people who approve it.
# custom:
#   code: us.map_purpose
#   citation: NIST AI RMF 1.0, MAP 1.1
#   remedy: Declare the purpose and the sector of the environment.
#   term: environment.purpose
#   effective_on: "2023-01-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not context_mapped
	message := "the environment declares no purpose or no sector"
}

context_mapped if {
	facts.declared(input.environment.purpose, params.undeclared)
	facts.declared(input.environment.sector, params.undeclared)
}

# METADATA
# title: Performance was measured
# description: >-
#   The training run recorded at least one evaluation, and every evaluation has at least one metric.
#   Whether the conditions were those of the deployment is left to people.
# custom:
#   code: us.measure_performance
#   citation: NIST AI RMF 1.0, MEASURE 2.3
#   remedy: Bind the job with the evaluation output of its run.
#   term: adaptations[].evaluations
#   effective_on: "2023-01-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not measured(i)
	message := "no evaluation with metrics is recorded for the training run"
}

measured(i) if {
	evaluations := input.adaptations[i].evaluations
	is_array(evaluations)
	count(evaluations) > 0
	every evaluation in evaluations {
		count(evaluation.metrics) > 0
	}
}

# METADATA
# title: Security and resilience were probed, and recently
# description: >-
#   Every adversarial suite has a result of at least its own threshold and the floor set in data, and one
#   such result is of the last so many days, as set in data.
# custom:
#   code: us.measure_resilience
#   citation: NIST AI RMF 1.0, MEASURE 2.7
#   remedy: Have an evaluator run an adversarial suite that reaches the floor and countersign it.
#   term: adaptations[].suites
#   effective_on: "2023-01-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not resilient(i)
	message := "an adversarial suite is missing, too old or below its floor"
}

resilient(i) if {
	facts.suites_reach(i, "adversarial", params.adversarial_floor)
	facts.suite_reached_within(i, "adversarial", params.adversarial_floor, params.adversarial_max_age_days)
}

# METADATA
# title: The customer decided to go ahead, and how to respond to the risks
# description: >-
#   The customer's approval is in force and declares `risk-response`: one or several of mitigate,
#   transfer, avoid and accept, separated by commas. Which risks were found, and whether the response
#   is the right one, is for the customer to judge.
# custom:
#   code: us.manage_go_decision
#   citation: NIST AI RMF 1.0, MANAGE 1.1 and MANAGE 1.3
#   remedy: Have the customer approve the manifest with the declaration risk-response.
#   term: adaptations[].approvals[].declarations
#   effective_on: "2023-01-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not decided(i)
	message := "no customer's approval in force declares how the risks found are responded to"
}

decided(i) if facts.approval_says(i, "customer", "risk-response", params.risk_responses)

# METADATA
# title: An approval is about to end
# description: >-
#   A warning while an approval has fewer days left than the number set in data, and no other one of its
#   role lasts longer where it counts.
# custom:
#   code: us.manage_approval_ending
#   citation: NIST AI RMF 1.0, MANAGE 4.1
#   remedy: Have the authority renew its approval.
#   term: adaptations[].approvals[].not_after
#   effective_on: "2023-01-26"
#   state: enforced
warn contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	some j, approval in adaptation.approvals
	dates.ends_within_days(approval.not_after, params.approval_warning_days)
	not renewed(i, j)
	message := sprintf("the approval of %v (%v) ends at %v", [approval.authority, approval.role, approval.not_after])
}

renewed(i, j) if {
	some other in input.adaptations[i].approvals
	other.role == input.adaptations[i].approvals[j].role
	every place in input.adaptations[i].approvals[j].jurisdictions {
		place in other.jurisdictions
	}
	dates.lasts_days(other.not_after, params.approval_warning_days)
}
