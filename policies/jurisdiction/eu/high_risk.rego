package jurisdiction.eu

import data.lib.facts
import data.lib.violation
import data.params.eu as params

# The duties for high-risk use. Each helper holds first of all where the declared class is below high,
# so that a class nobody knows is held to all of them.
#
# Whether a corpus is representative, a probe well chosen or an overseer competent is judged by the
# people who sign; the rules check that the signed record of it is there, recent and good enough. The
# floors and ages are the operator's choice; the Act names none but the six months of Articles 19 and 26.
#
# An adaptation that is tuned further is held to what is asked of its evidence, for its data and
# documents go into what comes of it (Annex IV, point 2(a)); only the approval is asked of what is run.

# METADATA
# title: High-risk use is answered for, model by model
# description: >-
#   Every model that the request runs is an adaptation that whoever holds the role regulator for the EU
#   approved, and the approval has not ended. The Act asks for no permit, but that the provider sees the
#   system through its conformity assessment; whom the operator lets answer for that (a notified body, an
#   internal function) and whether it was done well is left to people. A base model that no one adapted
#   has no evidence of its own and does not pass. A model that is only tuned is not put into service by
#   that; what comes of it is held to this rule when it is run.
# custom:
#   code: eu.art6_high_risk
#   citation: Regulation (EU) 2024/1689, Articles 6, 16(f) and 43; for what is tuned, Articles 2(8) and 3(11)
#   remedy: >-
#     Obtain an approval for eu by whom the operator granted the role regulator there, or declare the
#     true risk class of the environment.
#   term: adaptations[].approvals
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), model, message) if {
	some model in input.request.run
	not approved_high_risk(model)
	message := "high-risk use without an EU regulator's approval in force"
}

approved_high_risk(_) if below_high_risk

approved_high_risk(model) if {
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
#   term: adaptations[].corpora
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not data_governed(i)
	message := "no training corpus with records and a separate held-out corpus is recorded"
}

data_governed(_) if below_high_risk

data_governed(i) if {
	facts.corpora_recorded(i, ["training"])
	facts.corpora_recorded(i, params.held_out_roles)
	count(facts.digests(i, ["training"]) & facts.digests(i, params.held_out_roles)) == 0
}

# METADATA
# title: Technical documentation is bound
# description: >-
#   The manifest binds a document of the kind technical-documentation by its digest. That it holds
#   what Annex IV asks for, and is kept for ten years (Article 18), is left to people.
# custom:
#   code: eu.art11_technical_documentation
#   citation: Regulation (EU) 2024/1689, Articles 11(1) and 18(1)
#   remedy: Bind the job with its technical documentation.
#   term: adaptations[].documents
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not technically_documented(i)
	message := "no technical documentation is bound to the adaptation"
}

technically_documented(_) if below_high_risk

technically_documented(i) if facts.documented(i, "technical-documentation")

# METADATA
# title: Logs are kept for six months
# description: >-
#   The customer declares `log-retention-days`, at least the number set in data. That events are
#   logged, and which, is left to people; the gate's own decision log is one such record.
# custom:
#   code: eu.art12_record_keeping
#   citation: Regulation (EU) 2024/1689, Articles 12(1), 19(1) and 26(6)
#   remedy: Keep the logs for at least six months and declare log-retention-days.
#   term: environment.declarations
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not records_kept
	message := "the environment does not declare that logs are kept for six months"
}

records_kept if below_high_risk

records_kept if facts.environment_counts("log-retention-days", params.log_retention_days)

# METADATA
# title: Instructions for use are bound
# description: >-
#   The manifest binds a document of the kind instructions-for-use by its digest. Whether deployers
#   can understand it is left to people.
# custom:
#   code: eu.art13_instructions_for_use
#   citation: Regulation (EU) 2024/1689, Article 13(2) and (3)
#   remedy: Bind the job with the instructions for use.
#   term: adaptations[].documents
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not instructed(i)
	message := "no instructions for use are bound to the adaptation"
}

instructed(_) if below_high_risk

instructed(i) if facts.documented(i, "instructions-for-use")

# METADATA
# title: Robustness was probed and accuracy kept
# description: >-
#   Every adversarial and every regression suite has a result of at least its own threshold and the floor
#   set in data, and there is one of each. What level is appropriate is for the evaluator to argue.
# custom:
#   code: eu.art15_accuracy_robustness
#   citation: Regulation (EU) 2024/1689, Article 15(1), (4) and (5)
#   remedy: Have an evaluator run an adversarial and a regression suite that reach the floors.
#   term: adaptations[].suites
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not robust(i)
	message := "an adversarial or a regression suite is missing or below its floor"
}

robust(_) if below_high_risk

robust(i) if {
	facts.suites_reach(i, "adversarial", params.adversarial_floor)
	facts.suites_reach(i, "regression", params.regression_floor)
}

# METADATA
# title: Substantial modification is owned up to
# description: >-
#   The producer declares `substantial-modification`: no, or yes with `provider`, who then has the
#   provider's duties for the modified system. Whether a fine-tuning is a substantial modification
#   within Article 3(23) is left to people.
# custom:
#   code: eu.art25_substantial_modification
#   citation: Regulation (EU) 2024/1689, Articles 3(23) and 25(1)
#   remedy: Declare substantial-modification as no, or as yes together with the provider.
#   term: adaptations[].declarations
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not modification_answered_for(i)
	message := "it is not declared whether the fine-tuning is a substantial modification, or nobody answers for it"
}

modification_answered_for(_) if below_high_risk

modification_answered_for(i) if facts.adaptation_says(i, "substantial-modification", params.denials)

modification_answered_for(i) if {
	facts.adaptation_says(i, "substantial-modification", params.affirmations)
	facts.adaptation_declares(i, "provider", params.undeclared)
}

# METADATA
# title: The deployer assigned human oversight
# description: >-
#   The customer declares `human-oversight`: who oversees, by role or reference. That these people have
#   the competence, training and authority for it, and that the system lets them, is left to people.
# custom:
#   code: eu.art26_human_oversight
#   citation: Regulation (EU) 2024/1689, Articles 14(1) and 26(2)
#   remedy: Declare human-oversight for the environment.
#   term: environment.declarations
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not overseen
	message := "the environment does not declare who oversees its use"
}

overseen if below_high_risk

overseen if facts.environment_declares("human-oversight", params.undeclared)

# METADATA
# title: The model is used for its intended purpose
# description: >-
#   The producer declares `intended-purpose`, and it is the purpose that the customer declared for the
#   environment. Whether calls keep to it, and to the rest of the instructions for use, is left to people.
# custom:
#   code: eu.art26_intended_purpose
#   citation: Regulation (EU) 2024/1689, Articles 3(12) and 26(1)
#   remedy: Declare intended-purpose when binding the job, and use the model for that purpose.
#   term: adaptations[].declarations
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not used_as_intended(i)
	message := "the purpose of the environment is not the intended purpose of the adaptation"
}

used_as_intended(_) if below_high_risk

used_as_intended(i) if {
	facts.adaptation_declares(i, "intended-purpose", params.undeclared)
	intended := input.adaptations[i].declarations["intended-purpose"]
	facts.plain(intended) == facts.plain(input.environment.purpose)
}

# METADATA
# title: Conformity was checked, and recently
# description: >-
#   A compliance suite for the EU passed within the number of days set in data, which the operator
#   chooses: the Act names no period. The suite is not a conformity assessment; it is the evidence that
#   one is kept up after fine-tuning.
# custom:
#   code: eu.art43_conformity_evidence
#   citation: Regulation (EU) 2024/1689, Articles 16(f) and 43(1), (2) and (4)
#   remedy: Have an evaluator run the EU compliance suite again and countersign the result.
#   term: adaptations[].suites
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not conformity_shown(i)
	message := "no EU compliance suite passed recently enough"
}

conformity_shown(_) if below_high_risk

conformity_shown(i) if facts.compliance_performed(i, "eu", params.compliance_max_age_days)

# METADATA
# title: The compliance result is about to be too old
# description: A warning while the newest result has less than a tenth of its permitted age left.
# custom:
#   code: eu.art43_conformity_ageing
#   citation: Regulation (EU) 2024/1689, Article 43(4)
#   remedy: Plan the next run of the EU compliance suite.
#   term: adaptations[].suites
#   effective_on: "2027-12-02"
#   state: enforced
warn contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	conformity_shown(i)
	not conformity_fresh(i)
	message := "the EU compliance result will soon be too old"
}

conformity_fresh(_) if below_high_risk

conformity_fresh(i) if facts.compliance_performed(i, "eu", params.compliance_max_age_days * 0.9)
