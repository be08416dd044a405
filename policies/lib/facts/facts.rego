# METADATA
# title: Questions asked of the facts
# description: >-
#   Each helper is a condition that holds only on proof, and what proves it is proven by more evidence
#   too: it asks whether there is a result or an approval, never whether all are of a kind. `i` is the index of an adaptation in
#   `input.adaptations`. A threshold of the wrong type is never met: Rego orders values of different
#   types, and a number is greater than null.
package lib.facts

import data.lib.dates

# METADATA
# title: The digests of the corpora in some roles
digests(i, roles) := {corpus.digest |
	some corpus in input.adaptations[i].corpora
	corpus.role in roles
}

# METADATA
# title: Whether every corpus of some roles is identified and not empty, and there is one
corpora_recorded(i, roles) if {
	is_array(roles)
	chosen := [corpus | some corpus in input.adaptations[i].corpora; corpus.role in roles]
	count(chosen) > 0
	every corpus in chosen {
		is_string(corpus.digest)
		regex.match(`^[0-9a-f]{64}$`, corpus.digest)
		corpus.records > 0
	}
}

# METADATA
# title: Whether every suite of a kind has a result of its own threshold and a floor, and there is one
# description: >-
#   Of one suite there may be several results. Each counts, so that one more never takes anything away.
suites_reach(i, kind, least) if {
	is_number(least)
	chosen := [suite | some suite in input.adaptations[i].suites; suite.kind == kind]
	count(chosen) > 0
	every suite in chosen {
		some result in suite.results
		result.score >= max([suite.threshold, least])
	}
}

# METADATA
# title: Whether a result of a kind of suite reaches both bounds and is of the last so many days
# description: One result must do all of it; a high score of last year and a low one of today do not.
suite_reached_within(i, kind, least, days) if {
	is_number(least)
	some suite in input.adaptations[i].suites
	suite.kind == kind
	some result in suite.results
	result.score >= max([suite.threshold, least])
	dates.within_days(result.performed, days)
}

# METADATA
# title: Whether a suite of a kind was performed in the last so many days
suite_performed(i, kind, days) if {
	some suite in input.adaptations[i].suites
	suite.kind == kind
	some result in suite.results
	dates.within_days(result.performed, days)
}

# METADATA
# title: Whether a compliance suite of a jurisdiction was performed in the last so many days
compliance_performed(i, jurisdiction, days) if {
	some suite in input.adaptations[i].suites
	suite.kind == "compliance"
	suite.jurisdiction == jurisdiction
	some result in suite.results
	result.score >= suite.threshold
	dates.within_days(result.performed, days)
}

# METADATA
# title: Whether every suite has a result of somebody other than the producer, and there is a suite
independently_scored(i) if {
	count(input.adaptations[i].suites) > 0
	every suite in input.adaptations[i].suites {
		some result in suite.results
		result.evaluator != input.adaptations[i].producer
	}
}

# METADATA
# title: Whether a role approved the adaptation for a jurisdiction and the approval has not ended
approved_for(i, role, jurisdiction) if {
	some approval in input.adaptations[i].approvals
	approval.role == role
	jurisdiction in approval.jurisdictions
	dates.future(approval.not_after)
}

# METADATA
# title: Whether a text says something, and nothing on a list
# description: >-
#   Only letters and digits are compared, whatever their case; a text without any says nothing. Without a
#   list, and with an empty one, the answer is no.
declared(text, refused) if {
	is_string(text)
	is_array(refused)
	count(refused) > 0
	said := plain(text)
	not is_entry(said, refused)
}

is_entry(said, list) if said in plain_entries(list)

# All entries and the empty text, made plain at once. OPA remembers what a function gave for the same
# arguments, so a list that several rules use costs this once a decision.
plain_entries(list) := split(regex.replace(lower(concat("|", array.concat(list, [""]))), `[^\pL\pN|]+`, ""), "|")

# METADATA
# title: The letters and digits of a text, in lower case
# description: >-
#   What stands between them, what joins them and what nobody can see makes no difference: `n/a` is `na`,
#   and so it is with a space of no width in it. Letters of another alphabet are other letters, even
#   where they look alike.
plain(text) := regex.replace(lower(text), `[^\pL\pN]+`, "")

# METADATA
# title: Whether a text is on a list
# description: >-
#   Case makes no difference, and spaces and underscores count as hyphens. The entries are written in
#   lower case with hyphens, which the schema of the data asks for.
listed(text, list) if {
	is_string(text)
	is_array(list)
	regex.replace(lower(text), `[\s_-]+`, "-") in list
}

# METADATA
# title: Whether the environment declares something under a name
environment_declares(name, refused) if declared(input.environment.declarations[name], refused)

# METADATA
# title: Whether what the environment declares under a name is on a list
environment_says(name, list) if listed(input.environment.declarations[name], list)

# METADATA
# title: Whether the environment declares a number of at least so much
environment_counts(name, least) if {
	is_number(least)
	text := input.environment.declarations[name]
	regex.match(`^[1-9][0-9]{0,8}$`, text)
	to_number(text) >= least
}

# METADATA
# title: Whether the producer declares something of the adaptation under a name
adaptation_declares(i, name, refused) if declared(input.adaptations[i].declarations[name], refused)

# METADATA
# title: Whether what the producer declares of the adaptation under a name is on a list
adaptation_says(i, name, list) if listed(input.adaptations[i].declarations[name], list)

# METADATA
# title: Whether a role declares something with an approval that has not ended
approval_declares(i, role, name, refused) if {
	some approval in input.adaptations[i].approvals
	approval.role == role
	dates.future(approval.not_after)
	declared(approval.declarations[name], refused)
}

# METADATA
# title: Whether what a role declares with an approval that has not ended is on a list
# description: Several entries are separated by commas, and all of them must be on it.
approval_says(i, role, name, list) if {
	some approval in input.adaptations[i].approvals
	approval.role == role
	dates.future(approval.not_after)
	every text in split(approval.declarations[name], ",") {
		listed(trim_space(text), list)
	}
}

# METADATA
# title: Whether a document of a kind is bound to the adaptation by its digest
documented(i, kind) if {
	some document in input.adaptations[i].documents
	document.kind == kind
	regex.match(`^[0-9a-f]{64}$`, document.digest)
}

# METADATA
# title: Whether every corpus declares its classes, and none of some; and there is one
free_of(i, classes) if {
	count(input.adaptations[i].corpora) > 0
	every j, _ in input.adaptations[i].corpora {
		corpus_free_of(i, j, classes)
	}
}

# METADATA
# title: Whether a corpus declares its classes, and none of some
# description: A corpus that declares no class may be of any.
corpus_free_of(i, j, classes) if {
	is_array(classes)
	count(input.adaptations[i].corpora[j].classes) > 0
	every class in input.adaptations[i].corpora[j].classes {
		declared(class, classes)
	}
}
