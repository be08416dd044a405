# METADATA
# title: Questions asked of the facts
# description: >-
#   Each helper is a condition that holds only on proof. `i` is the index of an adaptation in
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
# title: Whether every suite of a kind scores its own threshold and a floor, and there is one
suites_reach(i, kind, floor) if {
	is_number(floor)
	chosen := [suite | some suite in input.adaptations[i].suites; suite.kind == kind]
	count(chosen) > 0
	every suite in chosen {
		suite.score >= max([suite.threshold, floor])
	}
}

# METADATA
# title: Whether a suite of a kind was performed in the last so many days
suite_performed(i, kind, days) if {
	some suite in input.adaptations[i].suites
	suite.kind == kind
	dates.within_days(suite.performed, days)
}

# METADATA
# title: Whether a compliance suite of a jurisdiction was performed in the last so many days
compliance_performed(i, jurisdiction, days) if {
	some suite in input.adaptations[i].suites
	suite.kind == "compliance"
	suite.jurisdiction == jurisdiction
	suite.score >= suite.threshold
	dates.within_days(suite.performed, days)
}

# METADATA
# title: Whether a role approved the adaptation and the approval has not ended
approved(i, role) if {
	some approval in input.adaptations[i].approvals
	approval.role == role
	dates.future(approval.not_after)
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
#   Case, spaces, underscores and hyphens make no difference. Without a list the answer is no.
declared(text, refused) if {
	is_string(text)
	is_array(refused)
	said := plain(text)
	said != ""
	every entry in refused {
		plain(entry) != said
	}
}

# METADATA
# title: A text without case, spaces, underscores and hyphens
plain(text) := strings.replace_n({" ": "", "\t": "", "\n": "", "_": "", "-": ""}, lower(text))
