"""Submits tuning jobs, and binds finished ones into manifests by itself.

``openai_source`` and ``openai_creator`` call OpenAI and Azure OpenAI with the provider's own SDK;
``submission`` uploads and creates a job so that a crash loses nothing; ``binder`` binds one job,
``service`` all of them, by webhooks and by polling; ``deployments`` keeps bindings of Azure's
deployments.
"""
