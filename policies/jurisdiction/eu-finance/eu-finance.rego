# METADATA
# title: European Union, financial sector
# description: >-
#   What is asked in the EU of a model called by a financial entity, beside the rules of `eu`, as far as
#   signed evidence can show it. That the rules hold is not compliance with what they cite.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params["eu-finance"]: schema["params.eu-finance.schema"]
package jurisdiction["eu-finance"]

import data.lib.facts
import data.lib.violation
import data.params["eu-finance"] as params

# The supervisory texts behind model risk (the EBA's guidelines on internal governance and on the supervisory
# review) are revised from time to time; the rule rests on the article of the directive they explain.
# The directive speaks to Member States and binds institutions through national law. It asks for policies
# and processes for operational risk, model risk included, since 31 December 2013; the date below is that
# of the words in force, which added outsourcing. It defines model risk by decisions based on the output
# of internal models (Article 3(1), point 11), and names no sign-off: that is the form in which this rule
# looks for such a process. The wording of Article 85(1) is cited from knowledge of it; the consolidated
# text, with what Directive (EU) 2024/1619 may have changed from 11 January 2026 on, was not at hand.
# Most investment firms, insurers and payment institutions have laws of their own: for them the sign-off
# is asked for on the operator's account.

# METADATA
# title: The name under which the sector's rules answer
id := "eu-finance"

# METADATA
# title: The provider is in the register of ICT contracts
# description: >-
#   The customer declares `ict-register-reference`: the entry for the model's provider in the register of
#   information on contractual arrangements with ICT third-party service providers. That the entry
#   exists and is complete is left to people, as is every other duty of Articles 28 to 30.
# custom:
#   code: eu-finance.dora_register
#   citation: Regulation (EU) 2022/2554 (DORA), Article 28(3)
#   remedy: Enter the contract in the register and declare ict-register-reference for the environment.
#   term: environment.declarations
#   effective_on: "2025-01-17"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not registered
	message := "the environment declares no reference to the register of ICT third-party arrangements"
}

registered if facts.environment_declares("ict-register-reference", params.undeclared)

# METADATA
# title: Model risk was signed off
# description: >-
#   The customer's approval is in force and declares `model-risk-sign-off`: by whom, or under which
#   reference. The law asks for a process that manages model risk and names no form; that the function
#   was independent and the risk well judged is left to people.
# custom:
#   code: eu-finance.model_risk_sign_off
#   citation: Directive 2013/36/EU (CRD), Articles 3(1)(11) and 85(1), as amended by Directive (EU) 2019/878
#   remedy: Have model risk approve the manifest with the declaration model-risk-sign-off.
#   term: adaptations[].approvals[].declarations
#   effective_on: "2020-12-29"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not signed_off(i)
	message := "no customer's approval in force declares a sign-off by model risk"
}

signed_off(i) if facts.approval_declares(i, "customer", "model-risk-sign-off", params.undeclared)
