"""List the hosts of well-known model providers; distinguish public from internal hosts.

The hosts are those of each provider's public API reference at the date below. The list is never
complete: a public host that is not in it is a finding where a route looks like one for model calls
(`host_rules`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cache

from envoy_extauthz_lint.matching import names_provider

AS_OF = "2026-11"
"""Month in which the list was last revised, from general knowledge of the providers' APIs."""

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
    """A provider and the patterns of its hosts, with ``*`` as in file names."""

    name: str
    hosts: tuple[str, ...]


KNOWN_PROVIDERS = (
    KnownProvider("OpenAI", ("api.openai.com", "*.api.openai.com")),
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
    ),
    KnownProvider(
        "Azure Machine Learning",
        ("*.inference.ml.azure.com", "*.inference.ml.azure.us", "*.models.ai.azure.com"),
    ),
    KnownProvider("GitHub Models", ("models.github.ai", "models.inference.ai.azure.com")),
    KnownProvider("GitHub Copilot", ("api.githubcopilot.com", "*.githubcopilot.com")),
    KnownProvider(
        "Amazon Bedrock",
        (
            *(f"{service}.*.{domain}" for service in _BEDROCK for domain in _AWS[:3]),
            *(f"*.{service}.*.{_AWS[3]}" for service in _BEDROCK),
        ),
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
    ),
    KnownProvider("Anthropic", ("api.anthropic.com", "aws-external-anthropic.*.api.aws")),
    KnownProvider("Google Gemini", ("generativelanguage.googleapis.com",)),
    KnownProvider(
        "Google Vertex AI",
        (
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
            "*.prediction.vertexai.goog",
        ),
    ),
    KnownProvider("Groq", ("api.groq.com", "*.api.groq.com")),
    KnownProvider("xAI", ("api.x.ai", "*.api.x.ai", "management-api.x.ai")),
    KnownProvider("Together AI", ("api.together.xyz", "api.together.ai")),
    KnownProvider("Fireworks AI", ("api.fireworks.ai", "*.fireworks.ai")),
    KnownProvider("DeepInfra", ("api.deepinfra.com",)),
    KnownProvider("SambaNova", ("api.sambanova.ai", "*.sambanova.ai")),
    KnownProvider("Cohere", ("api.cohere.com", "api.cohere.ai", "*.cohere.com")),
    KnownProvider("Mistral AI", ("api.mistral.ai", "codestral.mistral.ai", "*.api.mistral.ai")),
    KnownProvider("OpenRouter", ("openrouter.ai", "*.openrouter.ai")),
    KnownProvider("Perplexity", ("api.perplexity.ai",)),
    KnownProvider("Cerebras", ("api.cerebras.ai",)),
    KnownProvider("Replicate", ("api.replicate.com",)),
    KnownProvider(
        "Hugging Face",
        (
            "router.huggingface.co",
            "api-inference.huggingface.co",
            "*.endpoints.huggingface.cloud",
            "*.endpoints.huggingface.tech",
        ),
    ),
    KnownProvider(
        "NVIDIA",
        (
            "integrate.api.nvidia.com",
            "ai.api.nvidia.com",
            "api.nvcf.nvidia.com",
            "*.api.nvcf.nvidia.com",
        ),
    ),
    KnownProvider("Meta Llama", ("api.llama.com",)),
    KnownProvider("DeepSeek", ("api.deepseek.com",)),
    KnownProvider("Moonshot AI", ("api.moonshot.ai", "api.moonshot.cn")),
    KnownProvider("Zhipu AI", ("open.bigmodel.cn", "api.z.ai")),
    KnownProvider("MiniMax", ("api.minimax.io", "api.minimaxi.com", "api.minimax.chat")),
    KnownProvider("Alibaba Model Studio", ("dashscope.aliyuncs.com", "dashscope-*.aliyuncs.com")),
    KnownProvider("Baidu Qianfan", ("qianfan.baidubce.com",)),
    KnownProvider("Tencent Hunyuan", ("api.hunyuan.cloud.tencent.com",)),
    KnownProvider("Volcengine Ark", ("ark.*.volces.com", "ark.*.bytepluses.com")),
    KnownProvider("SiliconFlow", ("api.siliconflow.com", "api.siliconflow.cn")),
    KnownProvider("AI21", ("api.ai21.com",)),
    KnownProvider("Aleph Alpha", ("api.aleph-alpha.com",)),
    KnownProvider("IBM watsonx.ai", ("*.ml.cloud.ibm.com",)),
    KnownProvider("Oracle Generative AI", ("*.generativeai.*.oci.oraclecloud.com",)),
    KnownProvider("Databricks", ("*.serving.cloud.databricks.com",)),
    KnownProvider("Cloudflare AI Gateway", ("gateway.ai.cloudflare.com",)),
    KnownProvider("Vercel AI Gateway", ("ai-gateway.vercel.sh",)),
    KnownProvider("Portkey", ("api.portkey.ai",)),
    KnownProvider("Helicone", ("*.helicone.ai",)),
    KnownProvider("Requesty", ("router.requesty.ai", "router.*.requesty.ai")),
    KnownProvider("Baseten", ("inference.baseten.co", "*.api.baseten.co")),
    KnownProvider("Nebius", ("api.studio.nebius.*", "api.tokenfactory.nebius.com")),
    KnownProvider("Novita AI", ("api.novita.ai",)),
    KnownProvider("Hyperbolic", ("api.hyperbolic.xyz",)),
    KnownProvider("Lambda", ("api.lambda.ai", "api.lambdalabs.com")),
    KnownProvider("RunPod", ("api.runpod.ai",)),
    KnownProvider("Scaleway", ("api.scaleway.ai", "*.ifr.fr-par.scaleway.com")),
    KnownProvider("OVHcloud", ("*.endpoints.kepler.ai.cloud.ovh.net",)),
    KnownProvider("Friendli", ("api.friendli.ai",)),
    KnownProvider("Ollama", ("ollama.com", "api.ollama.com")),
    KnownProvider("Venice", ("api.venice.ai",)),
    KnownProvider("Writer", ("api.writer.com",)),
    KnownProvider("Upstage", ("api.upstage.ai",)),
    KnownProvider("Reka", ("api.reka.ai",)),
    KnownProvider("Voyage AI", ("api.voyageai.com",)),
    KnownProvider("Jina AI", ("api.jina.ai",)),
    KnownProvider("Stability AI", ("api.stability.ai",)),
    KnownProvider("Black Forest Labs", ("api.bfl.ai", "api.*.bfl.ai")),
    KnownProvider("fal", ("fal.run", "*.fal.run")),
    KnownProvider("ElevenLabs", ("api.elevenlabs.io", "api.*.elevenlabs.io")),
    KnownProvider("Deepgram", ("api.deepgram.com", "api.*.deepgram.com")),
    KnownProvider("AssemblyAI", ("api.assemblyai.com", "*.assemblyai.com")),
)

KNOWN_HOSTS: tuple[str, ...] = tuple(host for one in KNOWN_PROVIDERS for host in one.hosts)
"""Patterns of every known provider's hosts."""


@cache
def known_names(host: str) -> frozenset[str]:
    """Return the names of the known providers that a host belongs to."""
    return frozenset(one.name for one in KNOWN_PROVIDERS if names_provider(host, one.hosts))


_INTERNAL = (
    "arpa",
    "cluster.local",
    "consul",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
    "svc",
    "test",
)
"""Last labels of names that public DNS does not have (RFC 6761, RFC 6762, ICANN, Kubernetes)."""


def is_public(host: str) -> bool:
    """Return whether a host, without its port, can be reached over the public internet."""
    name = host.rstrip(".").lower()
    try:
        return ipaddress.ip_address(name.strip("[]")).is_global
    except ValueError:
        return "." in name and not name.endswith(tuple(f".{last}" for last in _INTERNAL))
