# METADATA
# title: European Union
# description: >-
#   Necessary conditions drawn from Regulation (EU) 2024/1689 (the AI Act), as far as the signed
#   evidence of an adaptation can show them. That they hold is not compliance with the Act.
package jurisdiction.eu

import data.lib.facts
import data.lib.violation
import data.params.eu as params

# What is checked and what is left to people:
#
# * The Act's duties under Articles 8 to 15 and 26 bind high-risk systems. These rules ask for their
#   traces from every adaptation called in an EU environment, for an operator may ask for more than
#   the law does, and a purpose can drift into a high-risk one.
# * Whether a corpus is representative, a probe well chosen or an overseer competent is judged by the
#   people who sign; the rules check that the signed record of it is there, recent and good enough.
# * `effective_on` is the date on which the cited provision applies under Article 113 as published
#   on 12 July 2024. An amendment approved in June 2026 moves the high-risk duties of Annex III to
#   2 December 2027. These rules are enforced whatever that date.

# METADATA
# title: The name under which an environment asks for this jurisdiction
id := "eu"

# METADATA
# title: The declared purpose is no prohibited practice
# description: >-
#   Compares the purpose that the customer signed with a list of names for the practices of Article
#   5(1)(a) to (h). It cannot see behind a purpose that is declared untruthfully.
# custom:
#   code: eu.art5_prohibited_practice
#   citation: Regulation (EU) 2024/1689, Article 5(1)
#   remedy: Do not use a model for this purpose; declare the true purpose of the environment.
#   effective_on: "2025-02-02"
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not purpose_permitted
	message := sprintf("the declared purpose %q is prohibited, or is not declared", [input.environment.purpose])
}

purpose_permitted if facts.declared(input.environment.purpose, params.prohibited_purposes)

# METADATA
# title: High-risk use carries a regulator's approval
# description: >-
#   A declared class below high passes. The class high passes if every model of the request is an
#   adaptation that a regulator for the EU approved. Any other class is not understood and denied.
#   Which class a use belongs to under Article 6 and Annex III is for the customer to determine.
# custom:
#   code: eu.art6_high_risk
#   citation: Regulation (EU) 2024/1689, Articles 6 and 16(f)
#   remedy: Declare one of the known risk classes; for high risk obtain a regulator's approval for eu.
#   effective_on: "2026-08-02"
deny contains violation.new(rego.metadata.rule(), model, message) if {
	some model in input.request.models
	not below_high_risk
	not approved_high_risk(model)
	message := sprintf("risk class %q needs an EU regulator's approval in force", [input.environment.risk_class])
}

below_high_risk if input.environment.risk_class in params.risk_classes_below_high

approved_high_risk(model) if {
	input.environment.risk_class == "high"
	some i, adaptation in input.adaptations
	adaptation.model == model
	facts.approved_for(i, "regulator", "eu")
}

# METADATA
# title: Training data is recorded, and other data was held out
# description: >-
#   Every training corpus is identified by its digest and has records; at least one held-out corpus
#   is identified too, and none of its digests is that of a training corpus. Relevance,
#   representativeness and freedom from errors are left to the people who sign.
# custom:
#   code: eu.art10_data_governance
#   citation: Regulation (EU) 2024/1689, Article 10(1) to (3)
#   remedy: Bind the job with its training file and a separate validation or test file.
#   effective_on: "2026-08-02"
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not data_governed(i)
	message := "no training corpus with records and a separate held-out corpus is recorded"
}

data_governed(i) if {
	facts.corpora_recorded(i, ["training"])
	facts.corpora_recorded(i, params.held_out_roles)
	count(facts.digests(i, ["training"]) & facts.digests(i, params.held_out_roles)) == 0
}

# METADATA
# title: Robustness was probed and accuracy kept
# description: >-
#   Every adversarial and every regression suite scores at least its own threshold and the floor set
#   in data, and there is one of each. What level is appropriate is for the evaluator to argue.
# custom:
#   code: eu.art15_accuracy_robustness
#   citation: Regulation (EU) 2024/1689, Article 15(1), (4) and (5)
#   remedy: Have an evaluator run an adversarial and a regression suite that reach the floors.
#   effective_on: "2026-08-02"
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not robust(i)
	message := "an adversarial or a regression suite is missing or below its floor"
}

robust(i) if {
	facts.suites_reach(i, "adversarial", params.adversarial_floor)
	facts.suites_reach(i, "regression", params.regression_floor)
}

# METADATA
# title: The deployer names who answers for the use
# description: >-
#   The environment declares an owner. That the owner assigned oversight to natural persons with the
#   competence, training and authority for it is left to people.
# custom:
#   code: eu.art26_human_oversight
#   citation: Regulation (EU) 2024/1689, Article 26(1) and (2)
#   remedy: Declare the owner of the environment.
#   effective_on: "2026-08-02"
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not overseen
	message := "the environment declares no owner who answers for its use"
}

overseen if facts.declared(input.environment.owner, params.undeclared)

# METADATA
# title: Conformity was checked, and recently
# description: >-
#   A compliance suite for the EU passed within the number of days set in data. The suite is not a
#   conformity assessment; it is the evidence that one is kept up after fine-tuning.
# custom:
#   code: eu.art43_conformity_evidence
#   citation: Regulation (EU) 2024/1689, Article 43(1), (2) and (4)
#   remedy: Have an evaluator run the EU compliance suite again and countersign the result.
#   effective_on: "2026-08-02"
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not conformity_shown(i)
	message := "no EU compliance suite passed recently enough"
}

conformity_shown(i) if facts.compliance_performed(i, "eu", params.compliance_max_age_days)

# METADATA
# title: The compliance result is about to be too old
# description: A warning while the newest result has less than a tenth of its permitted age left.
# custom:
#   code: eu.art43_conformity_ageing
#   citation: Regulation (EU) 2024/1689, Article 43(4)
#   remedy: Plan the next run of the EU compliance suite.
#   effective_on: "2026-08-02"
warn contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	conformity_shown(i)
	not conformity_fresh(i)
	message := "the EU compliance result will soon be too old"
}

conformity_fresh(i) if facts.compliance_performed(i, "eu", params.compliance_max_age_days * 0.9)
