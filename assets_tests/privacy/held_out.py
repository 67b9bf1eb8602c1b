"""A second corpus of named secrets in ways of writing that the rules were not tuned on.

What belongs here: texts for measuring, made up from a seed. What does not: the corpus the rules were built with
(``corpus``). Run ``python -m assets_tests.privacy.held_out`` for recall by seed, in total and by template.
"""

from __future__ import annotations

import base64
import random
import string
import sys
from collections import Counter
from collections.abc import Iterator

from assets_tests.privacy.corpus import pick
from pipeline.privacy.detect import Detector

LETTERS = string.ascii_letters + string.digits
TEMPLATES: tuple[str, ...] = (
    # p: a password, k: a random key, n: a one-time number, w: words of a pass phrase, b: base64 of user:password
    "MYSQL_ROOT_PASSWORD={p}", "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: {p}\n", "docker run -e REDIS_PASSWORD={p} redis:7", "[database]\nuser = app\npassword = {p}\n",
    "{{\"smtp\": {{\"user\": \"mailer\", \"password\": \"{p}\"}}}}", "export STRIPE_SECRET={k}", "set AWS_SESSION_TOKEN={k}", "setx API_TOKEN \"{k}\"", "$env:API_KEY = \"{k}\"", "curl -u deploy:{p} https://repo.example.com/api",
    "curl --user 'ci:{p}' https://ci.example.com", "Authorization: Basic {b}", "headers = {{'Authorization': 'Bearer {k}'}}", "requests.get(url, auth=('bob', '{p}'), password='{p}')", "postgres://svc:{p}@db.example.com/prod",
    "mongodb+srv://app:{p}@c0.example.net/", "redis://default:{p}@cache.example.com:6379", "Server=db;Uid=sa;Pwd={p};", "Your OTP is {n}", "PIN: {n}", "Your verification code is {n}.", "one-time password: {n}",
    "The password for the staging server is {p}", "password (temporary): {p}", "my pwd is {p}", "I set the password to {p}", "Password changed to: {p}", "пароль: {p}", "密码：{p}", "contraseña: {p}", "mot de passe : {p}", "Passwort: {p}", "senha = {p}",
    "secrets['mail'] = '{p}'", "config[\"api_key\"] = \"{k}\"", "os.environ[\"DB_PASS\"] = \"{p}\"", "passphrase: {w}", "passphrase = \"{w}\"", "let apiKey = '{k}'", "val secretKey: String = \"{k}\"", "static final String API_SECRET = \"{k}\";",
    "api.key={k}", "spring.mail.password={p}", "auth-token: {k}", "X-Auth-Token: {k}", "x-api-key: {k}", "access-key={k}", "<apiKey>{k}</apiKey>", "<property name=\"password\" value=\"{p}\"/>", "helm upgrade app --set db.password={p}", "--api-key {k}", "--client-secret={k}",
    "- name: API_SECRET\n  value: \"{k}\"", "login: bob / password: {p}", "user=bob;password={p}", "username: bob, password: {p}", "| password | {p} |", "* **Password:** {p}", "`password`: `{p}`", "password -> {p}", "wifi password: {p}", "root password is {p}",
    "tar czf - . | openssl enc -pass pass:{p}", "gpg --passphrase {p} -d x.gpg", "PGPASSWORD='{p}' psql", "mysql -u root -p{p} shop", "sshpass -p {p} ssh root@host", "ALTER ROLE app WITH PASSWORD '{p}';", "token \"{k}\"", "//registry.example.com/:_authToken={k}", "machine example.com login bob password {p}",
    "hook.secret: {k}", "app_secret: '{k}'", "COOKIE_SECRET={k}", "NEXTAUTH_SECRET=\"{k}\"", "DJANGO_SECRET_KEY='{k}'", "session.cookie=sid={k}", "Cookie: auth={k}", "license_key: {k}", "encryption-key: {k}",
)  # fmt: skip


def secrets(count: int, seed: int) -> Iterator[tuple[str, str, int, int]]:
    """Texts with one secret each: template, text, start and end of the secret."""
    rng = random.Random(f"held out {seed}")
    for _ in range(count):
        template = rng.choice(TEMPLATES)
        word = rng.choice(["Maple", "ranger", "Orbit", "falcon", "Pepper", "sunset"])
        password = rng.choice(
            [
                f"{word}{rng.randint(10, 9999)}{rng.choice('!$#?')}",
                pick(rng, LETTERS + "!#%^*", rng.randint(9, 18)),
                f"{word}_{pick(rng, LETTERS, 5)}7",
                f"{word}@{rng.randint(1950, 2026)}"
                if "://" not in template
                else f"{word}{rng.randint(100, 999)}x",
            ]
        )
        values = {
            "p": password,
            "k": pick(rng, LETTERS, rng.choice([20, 32, 40, 64])),
            "n": pick(rng, string.digits, rng.choice([4, 6])),
            "w": " ".join(
                rng.sample(["river", "lamp", "stone", "cloud", "tiger", "bread", "piano", "green"], 5)
            ),
            "b": base64.b64encode(f"bob:{password}".encode()).decode(),
        }
        name = next(name for name in values if "{" + name + "}" in template)
        text = template.format(**values)
        start = text.rindex(values[name])
        yield template, text, start, start + len(values[name])


def recall(count: int, seed: int, detector: Detector) -> tuple[float, Counter[str]]:
    """The share of secrets of which a find covers a part, and how often each template was missed."""
    missed: Counter[str] = Counter()
    for template, text, start, end in secrets(count, seed):
        found = detector.scan_text(text)
        if not any(f.type in ("SECRET", "URL") and f.start < end and start < f.end for f in found):
            missed[template] += 1
    return 1 - missed.total() / count, missed


def main() -> None:
    """Print recall for the seed given as argument (1 by default)."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    share, missed = recall(2000, seed, Detector(deadline_seconds=20))
    sys.stdout.write(f"named secrets, seed {seed}: recall {share:.3f} of 2,000\n")
    for template, count in missed.most_common(12):
        sys.stdout.write(f"  missed {count:3} times: {template!r}\n")


if __name__ == "__main__":
    main()
