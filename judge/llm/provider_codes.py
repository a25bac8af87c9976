"""How providers say no: the codes and phrases of their documentation and their answers.

Codes decide first; a phrase only where a provider has no code of its own for the case.
"""

from __future__ import annotations

import re

# The content filter stopped what was sent.
INPUT_FILTER_CODES = frozenset(
    {
        "data_inspection_failed", "datainspectionfailed", "faqruleblocked", "customroleblocked",
        "ipinfringementsuspect",  # DashScope
        "1301", "1300",  # Zhipu; 1301 names the side in contentFilter
        "content_filter", "content_policy_violation",  # OpenAI, Kimi
        "responsibleaipolicyviolation",  # Azure
        "sensitivecontentdetected", "inputtextsensitivecontentdetected",
        "inputtextriskdetection",  # Ark
        "minimax.1026",
        "10013",  # Spark
    }
)  # fmt: skip
# The content filter stopped what the model had written.
OUTPUT_FILTER_CODES = frozenset(
    {
        "outputtextsensitivecontentdetected",
        "outputtextriskdetection",
        "minimax.1027",
        "10014",
        "10019",
    }
)
# No credit, no package, account in arrears: waiting doesn't help.
QUOTA_CODES = frozenset(
    {
        "insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
        "1113", "1304", "1308", "1309", "1310", "1313",  # Zhipu
        "arrearage", "allocationquota.freetieronly", "freetieronly",  # DashScope
        "accountoverdueerror", "quotaexceeded",  # Ark
        "exceeded_current_quota_error",  # Kimi
        "minimax.1008", "minimax.2056",
    }
)  # fmt: skip
LOCKED_CODES = frozenset({"1110", "1111", "1112", "1121", "account_deactivated", "accountlocked"})
KEY_CODES = frozenset(
    {
        "invalid_api_key",
        "invalidapikey",
        "1000",
        "1001",
        "1002",
        "1003",
        "1004",
        "minimax.1004",
        "minimax.2049",
    }
)
MODEL_CODES = frozenset(
    {"model_not_found", "modelnotfound", "invalidendpointormodel.notfound", "1211", "1311",
     "model_not_supported", "resource_not_found_error"}
)  # fmt: skip
RATE_CODES = frozenset(
    {"rate_limit_exceeded", "1302", "1303", "1305", "throttling", "minimax.1002",
     "minimax.1039", "minimax.1041", "minimax.2045"}
)  # fmt: skip
# The request itself is at fault: too many invisible characters, a parameter.
HOPELESS_CODES = frozenset({"minimax.1042", "minimax.2013"})
CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error", "1261"}
)

# finish reasons, as the provider itself gives them
FILTER_FINISHES = frozenset(
    {"content_filter", "sensitive", "safety", "prohibited_content", "blocklist", "spii",
     "recitation", "error_toxic", "content_filtered", "guardrail_intervened"}
)  # fmt: skip
CUT_FINISHES = frozenset({"length", "max_tokens", "model_length"})
CONTEXT_FINISHES = frozenset({"model_context_window_exceeded"})
FAULT_FINISHES = frozenset({"insufficient_system_resource", "network_error", "error", "abort"})

FILTER_PHRASE = re.compile(
    r"content exists risk|data may contain inappropriate content|considered high risk"
    r"|DataInspectionFailed|new_sensitive|不安全或敏感内容|content management policy"
    r"|sensitive (content|information)|内容安全|content_filter"
    r"|violat(es?|ing) (our )?usage (guidelines|polic)|(input|prompt) was flagged|request blocked",
    re.IGNORECASE,
)
OUTPUT_PHRASE = re.compile(
    r"(?<!or )\boutput (text )?data may|output new_sensitive|generated content", re.IGNORECASE
)
QUOTA_PHRASE = re.compile(
    r"insufficient balance|balance is (insufficient|too low)|in arrears|overdue|good standing|欠费"
    r"|余额不足|no credit|(free|hour|week|month) allocated quota exceeded|PerDay",
    re.IGNORECASE,
)
CONTEXT_PHRASE = re.compile(
    r"maximum context length|context.?length|context window|too many tokens|range of input length"
    r"|exceeds? the max(imum)? (input|number)|exceeded model token limit|prompt is too long"
    r"|exceed max message tokens|maximum prompt length|context size",
    re.IGNORECASE,
)
MODEL_PHRASE = re.compile(
    r"model .{0,80}(does not exist|not found|not exist)|unknown model|no such model|模型不存在"
    r"|LLM Provider NOT provided",
    re.IGNORECASE,
)
KEY_PHRASE = re.compile(r"api.?key not valid|(invalid|incorrect) api.?key", re.IGNORECASE)
FORMAT_PHRASE = re.compile(
    r"response_format|json_schema|guided_json|structured.?output", re.IGNORECASE
)
LOGPROBS_PHRASE = re.compile(r"logprobs", re.IGNORECASE)
_NOT = r"(?:不能|无法|没法|不可以|不便|不会|拒绝|没有办法)"
_SOON = r"[^。！？\n“”\"「『]{0,30}?"  # in the first sentence, before any quotation
REFUSAL_PHRASE = re.compile(
    r"\s*(?:(?:您好|你好)[，,！!。]?)?\s*(?:"
    r"(?:非常|十分|很|实在|真的)?(?:抱歉|对不起|遗憾)"
    rf"|{_SOON}我们?(?:暂时|目前|还|也|确实)?{_NOT}"
    r"|作为[^。，,\n]{0,12}(?:人工智能|AI|语言模型|智能助手)"
    r"|(?:I(?:'|’| a)m (?:\w+ )?(?:sorry|unable|not able)|I apologi[sz]e|Sorry\b|As an AI\b"
    r"|(?:\w+, )?(?:but )?I (?:can(?:no|'|’)t|can ?not|won(?:'|’)t|must decline|will not)\b))",
    re.IGNORECASE,
)
