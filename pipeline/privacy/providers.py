"""Keys and tokens that say themselves who issued them: a prefix, an alphabet, a length.

Sources: the issuers' own documentation and the MIT-licensed rules of gitleaks (config/gitleaks.toml, 2025),
with lengths relaxed downwards: an issuer changes them, and a token cut short is still one. What does not
belong here: secrets that only their surroundings give away (``secrets``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.privacy.found import Rule, Span
from pipeline.privacy.lazily import lazy

_WORD = r"[A-Za-z0-9_\-]"
_ALNUM = "[A-Za-z0-9]"
_HEX = "[0-9a-fA-F]"
_BASE64 = "[A-Za-z0-9+/=_\\-]"


class Provider(NamedTuple):
    """A token's form: literal ``prefix`` (a pattern), ``body`` characters, at least ``least`` of them."""

    name: str
    prefix: str
    body: str
    least: int


PROVIDERS = (
    Provider("aws_access_key", "(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])", "[A-Z0-9]", 16),
    Provider("aws_bedrock", "(?:ABSK|bedrock-api-key-)", _BASE64, 60),
    Provider("github", "gh[pousr]_", _ALNUM, 30),
    Provider("github_pat", "github_pat_", r"\w", 36),
    Provider("gitlab", r"(?:glpat|gldt|glft|glrt|glsoat|glptt|glimt|glagent|gloas|glffct)-", r"[\w.\-]", 18),
    Provider("gitlab_job", "glcbt-", _WORD, 18),
    Provider("gitlab_runner", "GR1348941", _WORD, 18),
    Provider("slack", r"xox[abceoprsd](?:\.xox[bp])?-", _WORD, 16),
    Provider("slack_app", r"xapp-\d-", "[A-Za-z0-9-]", 16),
    Provider("slack_webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/", "[A-Za-z0-9+/]", 30),
    Provider("discord_webhook", r"discord(?:app)?\.com/api/webhooks/\d{15,20}/", _WORD, 40),
    Provider("discord_bot", r"[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.", _WORD, 27),
    Provider("telegram_bot", r"\d{8,10}:A[A-Za-z0-9_\-]", _WORD, 32),
    Provider("stripe", "(?:sk|rk|pk)_(?:test|live|prod)_", _ALNUM, 10),
    Provider("stripe_webhook", "whsec_", "[A-Za-z0-9+/=]", 24),
    Provider("openai", r"sk-(?:proj|svcacct|admin|None)-", _WORD, 20),
    Provider("openai_legacy", "sk-", _ALNUM, 32),
    Provider("anthropic", r"sk-ant-(?:api|admin|oat|sid)\d\d-", _WORD, 20),
    Provider("anthropic_short", "sk-ant-", _WORD, 32),
    Provider("openrouter", r"sk-or-v\d-", _ALNUM, 32),
    Provider("langfuse", r"(?:sk|pk)-lf-", "[0-9a-f-]", 30),
    Provider("deepseek", "sk-", "[0-9a-f]", 32),
    Provider("google_api", "AIza", _WORD, 33),
    Provider("google_oauth", r"ya29\.", r"[\w.\-]", 20),
    Provider("google_client_secret", "GOCSPX-", _WORD, 20),
    Provider("google_refresh", "1//0", _WORD, 40),
    Provider("hugging_face", "(?:hf|api_org)_", _ALNUM, 30),
    Provider("npm", "npm_", _ALNUM, 30),
    Provider("pypi", r"pypi-AgE", _WORD, 40),
    Provider("pypi_other", r"pypi-", _WORD, 60),
    Provider("rubygems", "rubygems_", "[a-f0-9]", 40),
    Provider("docker", r"dckr_(?:pat|oat)_", _WORD, 20),
    Provider("sendgrid", r"SG\.", r"[\w.=\-]", 40),
    Provider("mailgun", "key-", "[0-9a-f]", 32),
    Provider("mailchimp", r"[0-9a-f]{32}-us", r"\d", 1),
    Provider("brevo", "xkeysib-", "[a-z0-9-]", 60),
    Provider("twilio", "(?:SK|AC)", "[0-9a-f]", 32),
    Provider("digitalocean", "do[orp]_v1_", "[a-f0-9]", 60),
    Provider("shopify", "shp(?:at|ca|pa|ss|tka)_", _HEX, 32),
    Provider("square", "(?:sq0[a-z]{3}-|EAAA)", _WORD, 22),
    Provider("databricks", "dapi", "[a-f0-9]", 32),
    Provider("atlassian", "(?:ATATT3|ATCTT3|ATBB)", _BASE64, 24),
    Provider("vault", r"hv[sbr]\.", _WORD, 24),
    Provider("terraform", r"[A-Za-z0-9]{14}\.atlasv1\.", r"[\w\-=]", 50),
    Provider("doppler", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?", _ALNUM, 40),
    Provider("linear", "lin_(?:api|oauth)_", _ALNUM, 32),
    Provider("notion", "(?:ntn_|secret_)", _ALNUM, 40),
    Provider("postman", "PMAK-", "[a-f0-9-]", 50),
    Provider("grafana", "(?:glc|glsa)_", r"[\w+/=]", 32),
    Provider("new_relic", "(?:NRAK|NRJS|NRII|NRIQ)-", _WORD, 19),
    Provider("sentry", "sntry[su]_", r"[\w+/=\-]", 40),
    Provider("planetscale", "pscale_(?:tkn|pw|oauth)_", r"[\w=.\-]", 30),
    Provider("supabase", "sb(?:p|_secret|_publishable)_", _WORD, 28),
    Provider("fly", "(?:fo1_|fm1[ar]_|fm2_)", r"[\w+/=\-]", 40),
    Provider("heroku", "HRKU-", _WORD, 36),
    Provider("groq", "gsk_", _ALNUM, 40),
    Provider("replicate", "r8_", _ALNUM, 32),
    Provider("perplexity", "pplx-", _ALNUM, 32),
    Provider("xai", "xai-", _ALNUM, 40),
    Provider("langsmith", "lsv2_(?:pt|sk)_", r"\w", 32),
    Provider("pinecone", "pcsk_", r"\w", 40),
    Provider("tavily", "tvly-", _WORD, 24),
    Provider("nvidia", "nvapi-", _WORD, 40),
    Provider("firecrawl", "fc-", "[0-9a-f]", 32),
    Provider("e2b", "e2b_", "[0-9a-f]", 32),
    Provider("fireworks", "fw_", _ALNUM, 22),
    Provider("azure_ad", r"[A-Za-z0-9_~.]{3}\dQ~", r"[\w~.\-]", 31),
    Provider("azure_storage", "AccountKey=", r"[A-Za-z0-9+/]", 60),
    Provider("azure_bus", "SharedAccessKey=", r"[A-Za-z0-9+/]", 30),
    Provider("facebook", "EAA[A-Za-z0-9]", _ALNUM, 60),
    Provider("twitter_bearer", "AAAAAAAAAAAAAAAAAAAA", "[A-Za-z0-9%]", 60),
    Provider("mapbox", r"(?:sk|pk|tk)\.eyJ", r"[\w.\-]", 40),
    Provider("age", "AGE-SECRET-KEY-1", "[A-Z0-9]", 50),
    Provider("dropbox", r"sl\.", _WORD, 100),
    Provider("figma", "fig[dor]_", _WORD, 36),
    Provider("airtable", r"pat[A-Za-z0-9]{14}\.", "[a-f0-9]", 60),
    Provider("alibaba", "LTAI", _ALNUM, 16),
    Provider("tencent", "AKID", _ALNUM, 32),
    Provider("circleci", "CCI(?:PAT|PRJ)_", r"\w", 36),
    Provider("buildkite", "bk(?:ua|pt|at)_", _ALNUM, 32),
    Provider("pulumi", "pul-", "[a-f0-9]", 36),
    Provider("prefect", "pn[ub]_", _ALNUM, 32),
    Provider("sourcegraph", "sgp_", r"\w", 36),
    Provider("one_password", "(?:ops_eyJ|A3-[A-Z0-9]{6}-)", r"[A-Za-z0-9+/=\-]", 24),
    Provider("easypost", "EZ[AT]K", _ALNUM, 50),
    Provider("duffel", "duffel_(?:test|live)_", r"[\w=\-]", 36),
    Provider("flutterwave", "FLW(?:SEC|PUB)K(?:_TEST)?-", "[A-Za-z0-9-]", 12),
    Provider("frame_io", "fio-u-", r"[\w=\-]", 60),
    Provider("infracost", "ico-", _ALNUM, 32),
    Provider("typeform", "tfp_", r"[\w.=\-]", 40),
    Provider("readme", "rdme_", "[a-z0-9]", 60),
    Provider("shippo", "shippo_(?:live|test)_", _HEX, 40),
    Provider("plaid", "(?:access|link|public)-(?:sandbox|development|production)-", "[0-9a-f-]", 32),
    Provider("razorpay", "rzp_(?:live|test)_", _ALNUM, 14),
    Provider("netlify", "nfp_", _ALNUM, 32),
    Provider("vercel", "vc[apkri]_", _ALNUM, 24),
    Provider("cloudflare_ca", r"v1\.0-[a-f0-9]{24}-", "[a-f0-9]", 100),
    Provider("artifactory", "(?:AKCp|cmVmd)", _ALNUM, 55),
    Provider("clojars", "CLOJARS_", _ALNUM, 50),
    Provider("contentful", "CFPAT-", _WORD, 40),
    Provider("dynatrace", r"dt0c01\.[A-Z0-9]{24}\.", _ALNUM, 50),
    Provider("harness", r"(?:pat|sat)\.[\w\-]{22}\.[A-Za-z0-9]{24}\.", _ALNUM, 20),
    Provider("openshift", "sha256~", _WORD, 40),
    Provider("crates", "cio", _ALNUM, 32),
    Provider("volcano_maxmind", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mm", "k", 1),
    Provider("octopus", "API-", "[A-Z0-9]", 26),
    Provider("teams_webhook", r"[a-z0-9]{1,30}\.webhook\.office\.com/webhookb2/", "[A-Za-z0-9@/-]", 60),
    Provider("adobe", "p8e-", "[a-z0-9]", 32),
    Provider("lob", "(?:live|test)_", "[a-f0-9]", 34),
    Provider(
        "authress", r"(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc_", r"[\w.+/=\-]", 40
    ),
    Provider("resend", "re_", r"[A-Za-z0-9_]", 24),
    Provider("wandb", "wandb_v1_", r"\w", 30),
    Provider("meraki_scalingo", "tk-us-", _WORD, 40),
    Provider("intra", "s-s4t2(?:ud|af)-", "[a-f0-9]", 60),
    Provider("posthog", "ph[cx]_", _ALNUM, 40),
    Provider("cursor", "key_", "[0-9a-f]", 60),
    Provider("elevenlabs", "sk_", "[0-9a-f]", 44),
    Provider("together", "tgp_v1_", _WORD, 30),
    Provider("grafana_api", "eyJrIjoi", _BASE64, 60),
    Provider("amazon_mws", r"amzn\.mws\.", "[0-9a-f-]", 32),
    Provider("context7", "ctx7sk-", "[0-9a-f-]", 32),
    Provider("apify", "apify_api_", _ALNUM, 30),
    Provider("sonar", "sq[upa]_", "[0-9a-f]", 40),
    Provider("gitlab_session", "_gitlab_session=", "[0-9a-z]", 32),
    Provider("browserbase", "bb_live_", _WORD, 24),
    Provider("jina", "jina_", _ALNUM, 50),
    Provider("nuget", "oy2", "[a-z0-9]", 43),
    Provider("cerebras", "csk-", "[a-z0-9]", 40),
    Provider("wakatime", "waka_", "[0-9a-f-]", 32),
    Provider("bitbucket", "BBDC-", "[A-Za-z0-9+/@_-]", 40),
    Provider("google_express", r"AQ\.", _WORD, 40),
    Provider("sqreen_clerk", "sk_(?:test|live)_", _ALNUM, 20),
)


def _finder(provider: Provider) -> Rule:
    pattern = lazy(rf"{provider.prefix}{provider.body}{{{provider.least},}}=*", re.ASCII)
    name = f"token_{provider.name}"

    def find(text: str, start: int, end: int) -> Iterator[Span]:
        place = start
        # A token may be as long as it likes; where it begins decides whose it is.
        while (
            match := pattern.search(text, place, min(len(text), end + 4096))
        ) is not None and match.start() < end:
            place = match.end()
            if _stands_alone(text, match.start()) and is_random(match.group(), len(provider.prefix)):
                yield Span(match.start(), match.start() + len(match.group().rstrip(".-")), "SECRET", name, 80)

    # The engine needs no whole token where the prefix is telling, and is built faster without.
    announced = provider.least if len(provider.prefix) < 5 else min(provider.least, 10)
    return Rule(name, (f"{provider.prefix}{provider.body}{{{announced}}}".replace("(?:", "("),), find)


def _stands_alone(text: str, place: int) -> bool:
    if not place or not (text[place - 1].isalnum() or text[place - 1] == "_"):
        return True
    # An escaped line break or tab, as in JSON held in a text, is no part of the token.
    return place > 1 and text[place - 2] == "\\" and text[place - 1] in "nrt"


def is_random(token: str, skipped: int = 0) -> bool:
    """Whether the characters vary as issued ones do: ``ghp_xxxxxxxx`` and ``sk-1111…`` are stand-ins."""
    tail = token[-min(len(token), 24) :]
    return (
        len(set(tail)) >= min(7, max(4, len(tail) // 3))
        and "xxxx" not in token.lower()
        and "...." not in token
    )


RULES = tuple(_finder(provider) for provider in PROVIDERS)
