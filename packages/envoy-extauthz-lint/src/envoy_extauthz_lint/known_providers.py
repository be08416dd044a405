"""Table of well-known model providers: their hosts, and where these are stated.

A list of this kind is never complete: a public host that is not in it is a finding where a route
looks like one for model calls (`host_rules`).
"""

from __future__ import annotations

from dataclasses import dataclass

from envoy_extauthz_lint.catalogued_providers import CATALOGUED

AS_OF = "2026-11"
"""Month in which the table was last revised."""

CATALOGUE = "models.dev, 2026-07"
LITELLM = "LiteLLM 1.110.2"
OPENAI = "OpenAI's Python SDK 3.52"
BOTOCORE = "botocore 1.44.5"
SDK = "its Python SDK, 2026-11"
DOCUMENTATION = "its documentation, 2026-11"
"""Where a provider's first host was found."""

_AWS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "vpce.amazonaws.com")
_BEDROCK = (
    "bedrock",
    "bedrock-fips",
    "bedrock-runtime",
    "bedrock-runtime-fips",
    "bedrock-mantle",
    "bedrock-agent",
    "bedrock-agent-fips",
    "bedrock-agent-runtime",
    "bedrock-agent-runtime-fips",
    "bedrock-agentcore",
    "bedrock-agentcore-control",
    "bedrock-data-automation",
    "bedrock-data-automation-runtime",
)


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider, the patterns of its hosts, and where they are stated.

    Attributes:
        name: As it writes it.
        hosts: With ``*`` as in file names.
        documentation: Address of its public documentation or SDK; empty where none was found.
        stated: Where the first host was found, with version or month.
    """

    name: str
    hosts: tuple[str, ...]
    documentation: str
    stated: str


KNOWN_PROVIDERS = (
    KnownProvider(
        "OpenAI",
        ("api.openai.com", "*.api.openai.com"),
        "https://platform.openai.com/docs/api-reference",
        OPENAI,
    ),
    KnownProvider(
        "Azure OpenAI and AI Foundry",
        (
            "*.openai.azure.com",
            "*.openai.azure.us",
            "*.openai.azure.cn",
            "*.services.ai.azure.com",
            "*.services.ai.azure.us",
            "*.cognitiveservices.azure.com",
            "*.cognitiveservices.azure.us",
            "*.cognitiveservices.azure.cn",
            "*.api.cognitive.microsoft.com",
        ),
        "https://learn.microsoft.com/en-us/azure/ai-services/openai/concepts/models",
        LITELLM,
    ),
    KnownProvider(
        "Azure Machine Learning",
        (
            "*.inference.ml.azure.com",
            "*.inference.ml.azure.us",
            "*.inference.ml.azure.cn",
            "*.models.ai.azure.com",
        ),
        "https://learn.microsoft.com/en-us/azure/machine-learning/how-to-custom-dns",
        DOCUMENTATION,
    ),
    KnownProvider(
        "GitHub Models",
        ("models.github.ai", "models.inference.ai.azure.com"),
        "https://docs.github.com/en/github-models",
        CATALOGUE,
    ),
    KnownProvider(
        "GitHub Copilot",
        ("api.githubcopilot.com", "*.githubcopilot.com"),
        "https://docs.github.com/en/copilot",
        CATALOGUE,
    ),
    KnownProvider(
        "Amazon Bedrock",
        (
            *(f"{service}.*.{domain}" for service in _BEDROCK for domain in _AWS[:3]),
            *(f"*.{service}.*.{_AWS[3]}" for service in _BEDROCK),
        ),
        "https://docs.aws.amazon.com/general/latest/gr/bedrock.html",
        DOCUMENTATION,
    ),
    KnownProvider(
        "Amazon SageMaker",
        (
            "runtime.sagemaker.*.amazonaws.com",
            "runtime-fips.sagemaker.*.amazonaws.com",
            "runtime.sagemaker.*.amazonaws.com.cn",
            "runtime.sagemaker.*.api.aws",
            "*.runtime.sagemaker.*.vpce.amazonaws.com",
        ),
        "https://docs.aws.amazon.com/general/latest/gr/sagemaker.html",
        BOTOCORE,
    ),
    KnownProvider(
        "Anthropic",
        ("api.anthropic.com", "aws-external-anthropic.*.api.aws"),
        "https://docs.anthropic.com/en/docs/about-claude/models",
        LITELLM,
    ),
    KnownProvider(
        "Google Gemini",
        ("generativelanguage.googleapis.com",),
        "https://ai.google.dev/gemini-api/docs/models",
        LITELLM,
    ),
    KnownProvider(
        "Google Vertex AI",
        (
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
            "*.prediction.vertexai.goog",
        ),
        "https://cloud.google.com/vertex-ai/generative-ai/docs/models",
        LITELLM,
    ),
    KnownProvider(
        "Groq", ("api.groq.com", "*.api.groq.com"), "https://console.groq.com/docs/models", LITELLM
    ),
    KnownProvider(
        "xAI",
        ("api.x.ai", "*.api.x.ai", "management-api.x.ai"),
        "https://docs.x.ai/docs/models",
        LITELLM,
    ),
    KnownProvider(
        "Together AI",
        ("api.together.xyz", "api.together.ai"),
        "https://docs.together.ai/docs/serverless-models",
        LITELLM,
    ),
    KnownProvider(
        "Fireworks AI",
        ("api.fireworks.ai", "*.fireworks.ai"),
        "https://fireworks.ai/docs",
        CATALOGUE,
    ),
    KnownProvider("DeepInfra", ("api.deepinfra.com",), "https://docs.deepinfra.com", CATALOGUE),
    KnownProvider("SambaNova", ("api.sambanova.ai", "*.sambanova.ai"), "", LITELLM),
    KnownProvider(
        "Cohere",
        ("api.cohere.com", "api.cohere.ai", "*.cohere.com"),
        "https://docs.cohere.com/docs/models",
        LITELLM,
    ),
    KnownProvider(
        "Mistral AI",
        ("api.mistral.ai", "codestral.mistral.ai", "*.api.mistral.ai"),
        "https://docs.mistral.ai/getting-started/models",
        LITELLM,
    ),
    KnownProvider(
        "OpenRouter", ("openrouter.ai", "*.openrouter.ai"), "https://openrouter.ai/docs", CATALOGUE
    ),
    KnownProvider("Perplexity", ("api.perplexity.ai",), "https://docs.perplexity.ai", CATALOGUE),
    KnownProvider(
        "Cerebras",
        ("api.cerebras.ai",),
        "https://inference-docs.cerebras.ai/models/overview",
        LITELLM,
    ),
    KnownProvider("Replicate", ("api.replicate.com",), "", LITELLM),
    KnownProvider(
        "Hugging Face",
        (
            "router.huggingface.co",
            "api-inference.huggingface.co",
            "*.endpoints.huggingface.cloud",
            "*.endpoints.huggingface.tech",
        ),
        "https://huggingface.co/docs/inference-providers",
        CATALOGUE,
    ),
    KnownProvider(
        "NVIDIA",
        (
            "integrate.api.nvidia.com",
            "ai.api.nvidia.com",
            "api.nvcf.nvidia.com",
            "*.api.nvcf.nvidia.com",
        ),
        "https://docs.api.nvidia.com/nim",
        CATALOGUE,
    ),
    KnownProvider(
        "Meta Llama", ("api.llama.com",), "https://llama.developer.meta.com/docs/models", CATALOGUE
    ),
    KnownProvider(
        "DeepSeek",
        ("api.deepseek.com",),
        "https://api-docs.deepseek.com/quick_start/pricing",
        CATALOGUE,
    ),
    KnownProvider(
        "Moonshot AI",
        ("api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"),
        "https://platform.moonshot.ai/docs/api/chat",
        CATALOGUE,
    ),
    KnownProvider(
        "Zhipu AI",
        ("open.bigmodel.cn", "api.z.ai"),
        "https://docs.z.ai/guides/overview/pricing",
        CATALOGUE,
    ),
    KnownProvider(
        "MiniMax",
        ("api.minimax.io", "api.minimaxi.com", "api.minimax.chat"),
        "https://platform.minimax.io/docs/guides/quickstart",
        CATALOGUE,
    ),
    KnownProvider(
        "Alibaba Model Studio",
        (
            "dashscope.aliyuncs.com",
            "dashscope-*.aliyuncs.com",
            "coding.dashscope.aliyuncs.com",
            "coding-intl.dashscope.aliyuncs.com",
            "token-plan.*.maas.aliyuncs.com",
        ),
        "https://www.alibabacloud.com/help/en/model-studio/models",
        CATALOGUE,
    ),
    KnownProvider(
        "Baidu Qianfan",
        ("qianfan.baidubce.com",),
        "https://cloud.baidu.com/doc/qianfan/s/Hmh4suq26",
        DOCUMENTATION,
    ),
    KnownProvider(
        "Tencent Hunyuan",
        (
            "api.hunyuan.cloud.tencent.com",
            "api.lkeap.cloud.tencent.com",
            "tokenhub.tencentmaas.com",
        ),
        "https://cloud.tencent.com/document/product/1823/130050",
        CATALOGUE,
    ),
    KnownProvider("Volcengine Ark", ("ark.*.volces.com", "ark.*.bytepluses.com"), "", LITELLM),
    KnownProvider(
        "SiliconFlow",
        ("api.siliconflow.com", "api.siliconflow.cn"),
        "https://cloud.siliconflow.com/models",
        CATALOGUE,
    ),
    KnownProvider("AI21", ("api.ai21.com",), "", LITELLM),
    KnownProvider("Aleph Alpha", ("api.aleph-alpha.com",), "", LITELLM),
    KnownProvider(
        "IBM watsonx.ai",
        ("*.ml.cloud.ibm.com",),
        "https://ibm.github.io/watsonx-ai-python-sdk",
        SDK,
    ),
    KnownProvider(
        "Oracle Generative AI",
        ("*.generativeai.*.oci.oraclecloud.com", "*.generativeai.*.oci.oraclecloud.eu"),
        "https://docs.oracle.com/iaas/releasenotes/generative-ai/new-region-frankfurt-2.htm",
        DOCUMENTATION,
    ),
    KnownProvider(
        "Databricks",
        ("*.serving.cloud.databricks.com", "*.serving.azuredatabricks.net"),
        "https://docs.databricks.com/aws/en/machine-learning/model-serving/query-route-optimization",
        DOCUMENTATION,
    ),
    KnownProvider(
        "Cloudflare AI Gateway",
        ("gateway.ai.cloudflare.com",),
        "https://developers.cloudflare.com/ai-gateway",
        LITELLM,
    ),
    KnownProvider("Vercel AI Gateway", ("ai-gateway.vercel.sh",), "", LITELLM),
    KnownProvider(
        "Portkey", ("api.portkey.ai",), "https://github.com/Portkey-AI/portkey-python-sdk", SDK
    ),
    KnownProvider("Helicone", ("*.helicone.ai",), "https://helicone.ai/models", CATALOGUE),
    KnownProvider(
        "Requesty",
        ("router.requesty.ai", "router.*.requesty.ai"),
        "https://requesty.ai/solution/llm-routing/models",
        CATALOGUE,
    ),
    KnownProvider(
        "Baseten",
        ("inference.baseten.co", "*.api.baseten.co"),
        "https://docs.baseten.co/inference/model-apis/overview",
        CATALOGUE,
    ),
    KnownProvider(
        "Nebius",
        ("api.studio.nebius.*", "api.tokenfactory.nebius.com"),
        "https://docs.tokenfactory.nebius.com",
        CATALOGUE,
    ),
    KnownProvider(
        "Novita AI", ("api.novita.ai",), "https://novita.ai/docs/guides/introduction", CATALOGUE
    ),
    KnownProvider("Hyperbolic", ("api.hyperbolic.xyz",), "", LITELLM),
    KnownProvider("Lambda", ("api.lambda.ai", "api.lambdalabs.com"), "", LITELLM),
    KnownProvider("RunPod", ("api.runpod.ai",), "https://github.com/runpod/runpod-python", SDK),
    KnownProvider(
        "Scaleway",
        ("api.scaleway.ai", "*.ifr.fr-par.scaleway.com"),
        "https://www.scaleway.com/en/docs/generative-apis",
        CATALOGUE,
    ),
    KnownProvider(
        "OVHcloud",
        ("*.endpoints.kepler.ai.cloud.ovh.net",),
        "https://www.ovhcloud.com/en/public-cloud/ai-endpoints/catalog",
        CATALOGUE,
    ),
    KnownProvider(
        "Friendli",
        ("api.friendli.ai",),
        "https://friendli.ai/docs/guides/serverless_endpoints/introduction",
        CATALOGUE,
    ),
    KnownProvider(
        "Ollama", ("ollama.com", "api.ollama.com"), "https://docs.ollama.com/cloud", CATALOGUE
    ),
    KnownProvider("Venice", ("api.venice.ai",), "https://docs.venice.ai", LITELLM),
    KnownProvider("Writer", ("api.writer.com",), "https://github.com/writer/writer-python", SDK),
    KnownProvider(
        "Upstage", ("api.upstage.ai",), "https://developers.upstage.ai/docs/apis/chat", CATALOGUE
    ),
    KnownProvider("Reka", ("api.reka.ai",), "", LITELLM),
    KnownProvider("Voyage AI", ("api.voyageai.com",), "", LITELLM),
    KnownProvider("Jina AI", ("api.jina.ai",), "", LITELLM),
    KnownProvider("Stability AI", ("api.stability.ai",), "", LITELLM),
    KnownProvider("Black Forest Labs", ("api.bfl.ai", "api.*.bfl.ai"), "", LITELLM),
    KnownProvider("fal", ("fal.run", "*.fal.run"), "", LITELLM),
    KnownProvider(
        "ElevenLabs",
        ("api.elevenlabs.io", "api.*.elevenlabs.io"),
        "https://github.com/elevenlabs/elevenlabs-python",
        SDK,
    ),
    KnownProvider(
        "Deepgram",
        ("api.deepgram.com", "api.*.deepgram.com", "agent.deepgram.com"),
        "https://github.com/deepgram/deepgram-python-sdk",
        SDK,
    ),
    KnownProvider("AssemblyAI", ("api.assemblyai.com", "*.assemblyai.com"), "", LITELLM),
    *(
        KnownProvider(name, hosts, documentation, CATALOGUE)
        for name, hosts, documentation in CATALOGUED
    ),
)

KNOWN_HOSTS: tuple[str, ...] = tuple(host for one in KNOWN_PROVIDERS for host in one.hosts)
"""Patterns of every known provider's hosts."""
