# METADATA
# title: Shared helpers
# description: >-
#   The helpers below this package read the input directly (not through function arguments of
#   unknown type), so that the schema declared here reaches them: a field that the facts do not
#   have is an error of `opa check`.
# scope: subpackages
# schemas:
#   - input: schema["facts.schema"]
package lib
