package admission_test

import data.admission
import data.lib.fixtures_test as fixtures

malformed(facts) := part if {
	part := admission.malformed with input as facts
}

test_complete_facts_are_well_formed if malformed(fixtures.facts) == set()

test_a_parent_and_a_suites_jurisdiction_may_be_null_or_a_name if {
	malformed(fixtures.set("/adaptations/0/parent", "ft:earlier")) == set()
	malformed(fixtures.set("/adaptations/0/parent", "")) == {"adaptations"}
	malformed(fixtures.set("/adaptations/0/suites/0/jurisdiction", 7)) == {"adaptations"}
}

test_a_suite_has_results_and_each_is_whole if {
	every change in [
		fixtures.set("/adaptations/0/suites/0/results", []),
		fixtures.set("/adaptations/0/suites/0/results", {}),
		fixtures.with_result(0, {"score": 0.95, "evaluator": "assay"}),
		fixtures.with_result(0, object.union(fixtures.result(0.95, "assay"), {"score": "0.95"})),
	] {
		malformed(change) == {"adaptations"}
	}
}

test_each_part_is_named if {
	malformed(fixtures.set("/request/models", [])) == {"request"}
	malformed(fixtures.set("/request/run", null)) == {"request"}
	malformed(fixtures.set("/environment/owner", null)) == {"environment"}
	malformed(fixtures.set("/adaptations/0/corpora", null)) == {"adaptations"}
	malformed(fixtures.set("/now", "today")) == {"now"}
	malformed(fixtures.set("/nonce", "")) == {"nonce"}
	malformed(fixtures.set("/deployments", {})) == {"deployments"}
	malformed(fixtures.set("/waivers", {})) == {"waivers"}
}

test_only_a_modelless_operation_names_no_model_and_it_names_none if {
	marked := array.concat(fixtures.calling([]), [{"op": "replace", "path": "/request/modelless", "value": true}])
	modelless := array.concat(marked, [{"op": "replace", "path": "/adaptations", "value": []}])
	malformed(fixtures.patched(modelless)) == set()
	malformed(fixtures.set("/request/modelless", true)) == {"request"}
	malformed(fixtures.patched(marked)) == {"adaptations"}
	every use in ["/request/tuned", "/request/run"] {
		stray := {"op": "replace", "path": use, "value": [fixtures.model]}
		malformed(fixtures.patched(array.concat(modelless, [stray]))) == {"request"}
	}
}

test_what_is_tuned_or_run_is_named if {
	malformed(tuning([fixtures.model], fixtures.digest("f"))) == set()
	malformed(tuning(["another"], fixtures.digest("f"))) == {"request"}
	malformed(fixtures.set("/request/run", [fixtures.model, "another"])) == {"request"}
}

test_what_is_named_is_tuned_or_run if {
	malformed(fixtures.patched(fixtures.tuning([fixtures.model]))) == set()
	malformed(fixtures.set("/request/run", [])) == {"request"}
	malformed(fixtures.set("/request/models", ["another", fixtures.model])) == {"request"}
}

test_what_a_run_measured_are_numbers if {
	malformed(fixtures.set("/adaptations/0/evaluations/0/metrics", {"a": 1, "b": 0.5})) == set()
	every value in [null, "0.5", true, [1]] {
		malformed(fixtures.set("/adaptations/0/evaluations/0/metrics/valid_loss", value)) == {"adaptations"}
	}
}

test_what_is_tuned_is_specified_and_nothing_else_is if {
	malformed(tuning([fixtures.model], null)) == {"request"}
	malformed(tuning([], fixtures.digest("f"))) == {"request"}
	malformed(tuning([], null)) == set()
}

tuning(models, specification) := fixtures.patched([
	{"op": "replace", "path": "/request/tuned", "value": models},
	{"op": "replace", "path": "/request/specification", "value": specification},
])

test_each_adaptation_is_of_one_model_that_is_named if {
	malformed(fixtures.patched(fixtures.calling(["another", fixtures.model]))) == set()
	malformed(fixtures.patched(fixtures.calling(["another"]))) == {"adaptations"}
	malformed(fixtures.set("/adaptations", [fixtures.adaptation, fixtures.adaptation])) == {"adaptations"}
}

deployed(name) := {
	"name": name,
	"model": "ft:base-1:acme:support:def",
	"authority": "the-provider",
	"of_record": false,
	"declarations": {},
	"not_after": "2026-09-02T12:00:00Z",
}

test_a_deployment_is_a_name_of_the_request_that_stands_for_one_model if {
	one := deployed(fixtures.model)
	malformed(fixtures.set("/deployments", [one])) == set()
	malformed(fixtures.set("/deployments", [deployed("another")])) == {"deployments"}
	malformed(fixtures.set("/deployments", [one, object.union(one, {"model": "m"})])) == {"deployments"}
	malformed(fixtures.patched([
		{"op": "replace", "path": "/deployments", "value": [one]},
		{"op": "replace", "path": "/request/models", "value": null},
	])) == {"request"}
}

test_declarations_are_texts_by_name if {
	malformed(fixtures.declaring("phi", 7)) == {"environment"}
	malformed(fixtures.set("/adaptations/0/declarations", [])) == {"adaptations"}
	malformed(fixtures.set("/adaptations/0/approvals/0/declarations", null)) == {"adaptations"}
}
