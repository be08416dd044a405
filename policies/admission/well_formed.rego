package admission

import data.lib.dates

# Facts are checked field by field before anything is concluded from them. A missing field makes a
# condition undefined, and a jurisdiction that iterates over nothing finds nothing; both would read
# as consent. The lists name every field of the facts. What identifies something must not be empty; for
# the rest an empty text says as little as any other that no rule asks for.
#
# `not` stands before a helper only, never before an expression that reads input or data itself: OPA
# evaluates the arguments first, and an undefined argument would leave the rule without a result.

well_formed if count(malformed) == 0

malformed contains "request" if not request_complete

malformed contains "environment" if not environment_complete

malformed contains "adaptations" if not adaptations_complete

malformed contains "deployments" if not deployments_complete

malformed contains "waivers" if not waivers_complete

malformed contains "now" if not dates.now

malformed contains "nonce" if not nonce_complete

nonce_complete if named(input.nonce)

request_complete if {
	named(input.request.provider)
	named(input.request.operation)
	all_named(input.request.models)
	all_named(input.request.run)
	all_named(input.request.tuned)
	null_or_named(input.request.specification)
	is_boolean(input.request.modelless)
	is_boolean(input.request.sandbox)
	models_fit
	is_boolean(input.request.stream)
	all_texts(input.request.modalities)
	all_texts(input.request.tool_types)
}

# A modelless operation reaches no model; every other operation names what it reaches. `run` and `tuned` say what is
# done with the models: with each of them one thing or both.
models_fit if {
	input.request.modelless == true
	count(input.request.models) == 0
	handled == set()
	input.request.specification == null
}

models_fit if {
	input.request.modelless == false
	count(input.request.models) > 0
	handled == {model | some model in input.request.models}
	specified
}

handled := {model | some model in input.request.run} | {model | some model in input.request.tuned}

# A model is tuned under a specification, and nothing else is.
specified if {
	count(input.request.tuned) == 0
	input.request.specification == null
}

specified if {
	count(input.request.tuned) > 0
	input.request.specification != null
}

environment_complete if {
	named(input.environment.id)
	named(input.environment.trust_domain)
	all_named(input.environment.jurisdictions)
	count(input.environment.jurisdictions) > 0
	is_string(input.environment.sector)
	is_string(input.environment.purpose)
	is_string(input.environment.risk_class)
	is_string(input.environment.owner)
	declarations(input.environment.declarations)
	named(input.environment.credential.kind)
	dates.instant(input.environment.credential.expires)
}

adaptations_complete if {
	is_array(input.adaptations)
	adaptations_fit
	every i, adaptation in input.adaptations {
		named(adaptation.model)
		named(adaptation.base)
		null_or_named(adaptation.parent)
		named(adaptation.manifest)
		null_or_named(adaptation.specification)
		named(adaptation.producer)
		named(adaptation.method)
		is_object(adaptation.hyperparameters)
		declarations(adaptation.declarations)
		dates.instant(adaptation.window.not_before)
		dates.instant(adaptation.window.not_after)
		training_complete(i)
		suites_complete(i)
		approvals_complete(i)
		documents_complete(i)
	}
}

# Each adaptation is of a model that the request names, and no model has two. Facts about another
# model would leave the one that is called unexamined. Where the request itself is incomplete, that
# is said of the request alone.
adaptations_fit if not request_complete

adaptations_fit if {
	adapted := {adaptation.model | some adaptation in input.adaptations}
	count(adapted) == count(input.adaptations)
	every model in adapted {
		model in input.request.models
	}
}

training_complete(i) if {
	is_array(input.adaptations[i].corpora)
	is_array(input.adaptations[i].evaluations)
	every corpus in input.adaptations[i].corpora {
		is_string(corpus.role)
		is_string(corpus.name)
		is_string(corpus.digest)
		is_number(corpus.bytes)
		is_number(corpus.records)
		is_number(corpus.irregular)
		all_texts(corpus.classes)
	}
	every evaluation in input.adaptations[i].evaluations {
		is_string(evaluation.name)
		is_string(evaluation.digest)
		is_object(evaluation.metrics)
		every value in evaluation.metrics {
			is_number(value)
		}
	}
}

suites_complete(i) if {
	is_array(input.adaptations[i].suites)
	every suite in input.adaptations[i].suites {
		is_string(suite.kind)
		null_or_named(suite.jurisdiction)
		is_string(suite.name)
		is_number(suite.threshold)
		results_complete(suite.results)
	}
}

results_complete(results) if {
	is_array(results)
	count(results) > 0
	every result in results {
		is_number(result.score)
		is_string(result.evaluator)
		dates.instant(result.performed)
	}
}

approvals_complete(i) if {
	is_array(input.adaptations[i].approvals)
	every approval in input.adaptations[i].approvals {
		is_string(approval.role)
		is_string(approval.authority)
		is_boolean(approval.of_record)
		all_texts(approval.jurisdictions)
		all_texts(approval.conditions)
		declarations(approval.declarations)
		dates.instant(approval.not_after)
	}
}

documents_complete(i) if {
	is_array(input.adaptations[i].documents)
	every document in input.adaptations[i].documents {
		is_string(document.kind)
		is_string(document.name)
		is_string(document.digest)
	}
}

deployments_complete if {
	is_array(input.deployments)
	deployments_fit
	every deployment in input.deployments {
		named(deployment.name)
		named(deployment.model)
		named(deployment.authority)
		is_boolean(deployment.of_record)
		dates.instant(deployment.not_after)
		declarations(deployment.declarations)
	}
}

# Only a name of the request can stand for something else, and only for one thing.
deployments_fit if not request_complete

deployments_fit if {
	deployed := {deployment.name | some deployment in input.deployments}
	count(deployed) == count(input.deployments)
	every name in deployed {
		name in input.request.models
	}
}

waivers_complete if {
	is_array(input.waivers)
	every waiver in input.waivers {
		named(waiver.rule)
		named(waiver.jurisdiction)
		named(waiver.subject)
		named(waiver.authority)
		named(waiver.reason)
		dates.instant(waiver.not_after)
	}
}

named(value) if {
	is_string(value)
	value != ""
}

null_or_named(value) if is_null(value)

null_or_named(value) if named(value)

all_texts(values) if {
	is_array(values)
	every value in values {
		is_string(value)
	}
}

all_named(values) if {
	is_array(values)
	every value in values {
		named(value)
	}
}

declarations(values) if {
	is_object(values)
	every text in values {
		is_string(text)
	}
}
