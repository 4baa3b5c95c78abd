"""What a user reads when a file is wrong: file, line, key, what was expected and what came."""

from pathlib import Path

import pytest

from inchworm.app.config.load import load
from inchworm.domain.errors import ConfigError

GOOD = """\
app: shop/production
layers:
  model: {name: m}
  prompt: {user: "{question}"}
metrics:
  answered: {check: contains_reference, goal: true}
"""
MODEL = "  model: {name: m}"
METRIC = "{check: contains_reference, goal: true}"
LAYERS = "infrastructure, model, parameters, context, prompt or tools"


def parameters(line):
    return MODEL, f"{MODEL}\n  parameters: {{{line}}}"


def infrastructure(line):
    return MODEL, f"{MODEL}\n  infrastructure: {{{line}}}"


ONE_SOURCE = "metrics.answered needs one of check, builtin and feedback: true, and no two"


def metric(entry):
    return METRIC, entry


def top(line):
    return "app:", f"{line}\napp:"


def user(value):
    return '"{question}"', value


# what is replaced and by what, the line, the message
BAD = [
    # keys
    (
        parameters("temprature: 1"),
        4,
        'unknown key "temprature" in layers.parameters. Did you mean "temperature"?',
    ),
    (("app:", "ap:"), 1, 'unknown key "ap". Did you mean "app"?'),
    (
        top("judges: {}"),
        1,
        (
            'unknown key "judges". Known are: app, data, layers, metrics, models, notify, public_url, '
            "recording, retention, rollout, sanitize, unit."
        ),
    ),
    (("{name: m}", "{nam: m}"), 3, 'unknown key "nam" in layers.model. Did you mean "name"?'),
    (("{name: m}", "{}"), 3, 'the key "name" is missing in layers.model'),
    ((MODEL, "  tools: {index: i}"), 2, 'the key "model" is missing in layers'),
    (("metrics:", "metric:"), 5, 'unknown key "metric". Did you mean "metrics"?'),
    ((f"metrics:\n  answered: {METRIC}", "metrics: {}"), 5, "metrics needs at least 1 of them, not 0"),
    (top("unit: user\nunit: session"), 2, 'the key "unit" stands twice, first in line 1'),
    (
        parameters("seed: 1, seed: 2"),
        4,
        'the key "seed" stands twice in layers.parameters, first in line 4',
    ),
    (top("1: x"), 1, "a key is the number 1: keys are texts, put it in quotes"),
    (top("? [a]\n: b"), 1, "a key is a list: keys are texts, put it in quotes"),
    (("layers:", "layers: {}\nlayer:"), 2, 'the key "model" is missing in layers'),
    # kinds of values
    (parameters("temperature: hot"), 4, 'layers.parameters.temperature must be a number, not the text "hot"'),
    (parameters("temperature: yes"), 4, 'layers.parameters.temperature must be a number, not the text "yes"'),
    (parameters("temperature: true"), 4, "layers.parameters.temperature must be a number, not true"),
    (parameters("temperature: 3"), 4, "layers.parameters.temperature must be at most 2, not the number 3"),
    (
        parameters("temperature:"),
        4,
        "layers.parameters.temperature has no value: write one, or leave the key out",
    ),
    (
        parameters("max_tokens: 1e3"),
        4,
        "layers.parameters.max_tokens must be a whole number, not the number 1000.0",
    ),
    (
        parameters("max_tokens: 1:30"),
        4,
        'layers.parameters.max_tokens must be a whole number, not the text "1:30"',
    ),
    (parameters("stop: 3"), 4, "layers.parameters.stop must be a text or a list of texts, not the number 3"),
    (parameters("stop: [a, 3]"), 4, "layers.parameters.stop[1] must be a text, not the number 3"),
    (parameters("seed: .inf"), 4, "layers.parameters.seed is .inf, which JSON cannot say exactly"),
    (
        parameters("seed: 9007199254740993"),
        4,
        "layers.parameters.seed is 9007199254740993, which JSON cannot say exactly",
    ),
    ((MODEL, f"{MODEL}\n  parameters: 3"), 4, "layers.parameters must be a mapping, not the number 3"),
    ((MODEL, f"{MODEL}\n  parameters: []"), 4, "layers.parameters must be a mapping, not a list"),
    (("{name: m}", "{name: 4}"), 3, "layers.model.name must be a text, not the number 4"),
    (("{name: m}", "{name: ''}"), 3, "layers.model.name must not be empty"),
    (
        ("shop/production", "shop/eu/production"),
        1,
        "app must be NAME/ENVIRONMENT, e.g. shop-support/production",
    ),
    (
        top("unit: sesion"),
        1,
        'unit must be session, user or request, not the text "sesion". Did you mean "session"?',
    ),
    (top("unit: no"), 1, 'unit must be session, user or request, not the text "no"'),
    (top('data: "a\\0"'), 1, "data is no path"),
    # infrastructure
    (
        infrastructure("upstream: opnai"),
        4,
        (
            "layers.infrastructure.upstream must be openai, anthropic, any or recorded, not the text "
            '"opnai". Did you mean "openai"?'
        ),
    ),
    (
        infrastructure("base_url: example.org"),
        4,
        (
            "layers.infrastructure.base_url must be a URL such as https://api.openai.com/v1, "
            'not the text "example.org"'
        ),
    ),
    (
        infrastructure("price: {input: -1, output: 2}"),
        4,
        "layers.infrastructure.price.input must be at least 0, not the number -1",
    ),
    (
        infrastructure("timeout_s: 0"),
        4,
        "layers.infrastructure.timeout_s must be more than 0, not the number 0",
    ),
    # prompts
    (
        user('"{question"'),
        4,
        (
            "layers.prompt.user: the template has unbalanced braces (expected '}' before end of string): "
            "write a literal brace twice, {{ or }}"
        ),
    ),
    (
        user('"{a.b}"'),
        4,
        'layers.prompt.user: "{a.b}" is no variable: use plain names such as {question}',
    ),
    (user("[a]"), 4, "layers.prompt.user must be a text or {file: PATH}, not a list"),
    (user("{flie: a.md}"), 4, 'unknown key "flie" in layers.prompt.user. Did you mean "file"?'),
    (user("{file: nope.md}"), 4, "layers.prompt.user names 'nope.md': there is no such file"),
    (user("{file: .}"), 4, "layers.prompt.user names '.': this is no file"),
    (user('{file: "a\\0"}'), 4, "layers.prompt.user names 'a\\x00': no file can have that name"),
    (
        (MODEL, f"{MODEL}\n  context: {{documents: -1}}"),
        4,
        "layers.context.documents must be at least 0, not the number -1",
    ),
    (
        user('"x", few_shot: [{inputs: {q: 1}, answer: 5}]'),
        4,
        "layers.prompt.few_shot[0].answer must be a text, not the number 5",
    ),
    # metrics
    (
        metric("{check: contains_refrence, goal: true}"),
        6,
        (
            'metrics.answered.check names the check "contains_refrence", which does not exist. '
            'Did you mean "contains_reference"?'
        ),
    ),
    (
        metric("{check: {max_word: 3}, goal: true}"),
        6,
        'metrics.answered is wrong: there is no check "max_word". Did you mean "max_words"?',
    ),
    (
        metric("{check: {max_words: x}, goal: true}"),
        6,
        "metrics.answered is wrong: max_words needs a number of words, not 'x'",
    ),
    (
        metric("{check: {max_words: 3, regex: a}, goal: true}"),
        6,
        (
            "metrics.answered.check must be one check: a name, or a name with its argument, "
            "as in {max_words: 120}"
        ),
    ),
    (
        metric("{check: [complete], goal: true}"),
        6,
        (
            "metrics.answered.check must be the name of a check, or one with its argument, "
            "as in {max_words: 120}, not a list"
        ),
    ),
    (
        metric("{builtin: latency, goal: true}"),
        6,
        (
            'metrics.answered.builtin names the builtin metric "latency", which does not exist. '
            'Did you mean "latency_p95"?'
        ),
    ),
    (
        metric("{builtin: success, cap_usd: 1, goal: true}"),
        6,
        'metrics.answered is wrong: "cap_usd" says nothing to this metric. Known are: builtin.',
    ),
    (
        metric("{builtin: cost, check: complete, goal: true}"),
        6,
        "metrics.answered needs one of check, builtin and feedback: true, and no two",
    ),
    (metric("{feedback: true, check: complete, goal: true}"), 6, ONE_SOURCE),
    (metric("{feedback: false, goal: true}"), 6, "metrics.answered.feedback is true, or left out"),
    (
        metric("{check: complete, range: [1, 5], goal: true}"),
        6,
        "metrics.answered.range is for feedback, and this metric is computed",
    ),
    (
        metric("{feedback: true, cap_usd: 1, goal: true}"),
        6,
        "metrics.answered.cap_usd is for a builtin, and this metric is feedback",
    ),
    (
        metric("{feedback: true, range: [5, 5], goal: true}"),
        6,
        "metrics.answered.range must be two different numbers, the worst and the best, as in [1, 5]",
    ),
    (
        metric("{feedback: true, values: {good: 2}, goal: true}"),
        6,
        "metrics.answered.values must give each word a number between 0 and 1",
    ),
    (metric("{goal: true}"), 6, "metrics.answered needs one of check, builtin and feedback: true"),
    (
        metric("{check: complete}"),
        6,
        "metrics.answered needs exactly one of goal: true, guardrail: true and signal: true",
    ),
    (
        metric("{check: complete, goal: true, signal: true}"),
        6,
        "metrics.answered needs exactly one of goal: true, guardrail: true and signal: true",
    ),
    (
        metric("{check: complete, goal: true, signal: false}"),
        6,
        "metrics.answered.signal is true, or left out",
    ),
    (
        metric("{check: complete, goal: true, margin: 5}"),
        6,
        "metrics.answered.margin must be a share such as 5% or 0.05, between 0 and 1, not the number 5",
    ),
    (
        metric("{check: complete, goal: true, margin: 0}"),
        6,
        "metrics.answered.margin must be more than 0: no number of cases shows that nothing is lost",
    ),
    (
        metric("{check: complete, goal: true, harm_margin: 0.1}"),
        6,
        "metrics.answered.harm_margin must be at most the margin, 0.03",
    ),
    (
        metric("{check: complete, goal: true, clock: slow}"),
        6,
        'metrics.answered.clock must be fast or judged, not the text "slow"',
    ),
    (
        ("  answered:", "  what is it:"),
        6,
        "metrics.what is it must be named by letters, digits, hyphens and underscores, with a letter first",
    ),
    # rollout
    (top("rollout: {stages: 5%}"), 1, 'rollout.stages must be a list, not the text "5%"'),
    (top("rollout: {stages: []}"), 1, "rollout.stages needs at least 1 of them, not 0"),
    (
        top("rollout:\n  stages: [5%, 120%]"),
        2,
        'rollout.stages[1] must be a share such as 5% or 0.05, between 0 and 1, not the text "120%"',
    ),
    (
        top("rollout: {stages: [5]}"),
        1,
        "rollout.stages[0] must be a share such as 5% or 0.05, between 0 and 1, not the number 5",
    ),
    (top("rollout: {stages: [25%, 5%]}"), 1, "rollout.stages[1] is 5%, not more than the stage before it"),
    (top("rollout: {stages: [97%]}"), 1, "rollout.stages[0] is 97%, more than a holdback of 5% leaves"),
    (top("rollout: {stages: [100%]}"), 1, "rollout.stages[0] must lie between 0.01% and 100%, not at 100%"),
    (
        top("rollout: {stages: [{weight: 5%, max_bake: 1h}]}"),
        1,
        "rollout.stages[0].min_bake is longer than max_bake, 1h",
    ),
    (
        top("rollout: {stages: [{weight: 5%, margin_factor: 2}]}"),
        1,
        "rollout.stages[0].margin_factor is 1 in the last stage, which decides at the final margins",
    ),
    (
        top("rollout: {stages: [{weight: 5%, audience: {a: [b]}}, {weight: 4%, audience: {a: b}}, 5%]}"),
        1,
        "rollout.stages[1] is 4%, not more than the stage before it",
    ),
    (
        top("rollout: {stages: [{weight: 5%, audience: {tenant: a}}]}"),
        1,
        "rollout.stages[0].audience is for stages before the last, from which everybody gets the change",
    ),
    (
        top("rollout: {stages: [{weight: 5%, audience: 3}, 6%]}"),
        1,
        (
            "rollout.stages[0].audience must be attributes with their values, "
            "as in {tenant: [acme, globex]}, not the number 3"
        ),
    ),
    (
        top("rollout: {stages: [{weight: 5%, audience: {tenant: []}}, 6%]}"),
        1,
        "rollout.stages[0].audience must name texts, numbers, true or false for each attribute",
    ),
    (
        top("rollout: {judging: {baseline: 0%}}"),
        1,
        "rollout.judging.baseline is 0%: an arm that nobody judges cannot be compared",
    ),
    (
        top("rollout: {judging: {candidate: 0.001%}}"),
        1,
        "rollout.judging.candidate is less than 0.01%: an arm that nobody judges cannot be compared",
    ),
    (top("rollout: {holdout: 51%}"), 1, "rollout.holdout is more than 50%"),
    (top("rollout: {user_window: 0s}"), 1, "rollout.user_window is nothing; say how long, as in 24h"),
    (top("rollout: {hash: md5}"), 1, 'rollout.hash must be xxh3 or growthbook, not the text "md5"'),
    (
        top("rollout: {soak: 24}"),
        1,
        "rollout.soak must be a duration such as 90s, 30m, 24h or 7d, not the number 24",
    ),
    (top("rollout: {gate: on}"), 1, 'rollout.gate must be true or false, not the text "on"'),
    (
        top("rollout: {alpha: {pause: 0.05}}"),
        1,
        "rollout.alpha.pause must be more than 0.05, at which harm rolls back; 0 for never",
    ),
    (top("rollout: {alpha: {expand: 0}}"), 1, "rollout.alpha.expand must be more than 0, not the number 0"),
    (
        top("rollout: {after: {promt: [context]}}"),
        1,
        f'the key "promt" in rollout.after must be {LAYERS}, not the text "promt". Did you mean "prompt"?',
    ),
    (
        top("rollout: {after: {prompt: [contxt]}}"),
        1,
        f'rollout.after.prompt[0] must be {LAYERS}, not the text "contxt". Did you mean "context"?',
    ),
    (
        top("rollout:\n  after: {prompt: [context], context: [prompt]}"),
        2,
        "rollout.after goes in a circle: prompt after context after prompt",
    ),
    (top("rollout: {after: {prompt: [prompt]}}"), 1, "rollout.after goes in a circle: prompt after prompt"),
    # sanitize
    (
        top("sanitize: {kinds: [EMAILS]}"),
        1,
        (
            "sanitize.kinds[0] must be CARD, IBAN, EMAIL, IP, SECRET, PHONE or NAME, "
            'not the text "EMAILS". Did you mean "EMAIL"?'
        ),
    ),
    (
        top("sanitize:\n  custom:\n    member: 'a+'"),
        3,
        "sanitize.custom.member is wrong: The kind 'member' of a custom pattern is not a name in capitals",
    ),
    (
        top("sanitize: {custom: {MEMBER: 'a*'}}"),
        1,
        "sanitize.custom.MEMBER is wrong: The custom pattern of kind MEMBER also matches the empty text",
    ),
    (
        top("sanitize: {custom: {EMAIL: 'a'}}"),
        1,
        "sanitize.custom.EMAIL has the name of a built-in kind: choose another",
    ),
    (
        top("sanitize: {custom: {MEMBER: 'a{99999999999}'}}"),
        1,
        "sanitize.custom.MEMBER is no regular expression that can be used: a number in it is too large",
    ),
    # YAML
    (("  model:", "\tmodel:"), 3, "a tab stands where YAML wants spaces"),
    (("{name: m}", "{name: m"), 4, "not YAML: expected ',' or '}', but got ':' while parsing a flow mapping"),
    (("app: ", "app: b: "), 1, "not YAML: mapping values are not allowed here"),
    (top("unit: &a user\ndata: *a"), 2, "the alias *a is not supported: write the value out"),
    (top("unit: !secret user"), 1, "unit has a tag (!secret), which is not supported"),
    (
        top("data: !!python/name:os.system x"),
        1,
        "data has a tag (python/name:os.system), which is not supported",
    ),
    (top("--- 1\n---"), 2, "a second document begins here: the file holds one"),
    (top(f"data: {'[' * 60}"), 1, "the file is nested more than 50 levels deep"),
    (top('data: "\\ud800"'), 1, "data holds half of a surrogate pair, which JSON cannot say exactly"),
    (top("data: \x07"), 1, "the character '\\x07' does not belong in a text file"),
]


def test_the_base_of_this_table_is_good(tmp_path):
    (tmp_path / "inchworm.yaml").write_text(GOOD)
    assert str(load(tmp_path / "inchworm.yaml").app) == "shop/production"


@pytest.mark.parametrize(("change", "line", "message"), BAD, ids=[message[:60] for _, _, message in BAD])
def test_message(tmp_path, monkeypatch, change, line, message):
    monkeypatch.chdir(tmp_path)
    assert change[0] in GOOD
    Path("inchworm.yaml").write_text(GOOD.replace(change[0], change[1], 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(Path("inchworm.yaml"))
    assert str(caught.value) == f"inchworm.yaml:{line}: {message}"
    assert (caught.value.file, caught.value.line) == ("inchworm.yaml", line)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "inchworm.yaml: the file is empty"),
        (b"# nothing\n", "inchworm.yaml: the file is empty"),
        (b"- a\n", "inchworm.yaml:1: the file must be a mapping, not a list"),
        (b"a: b\nc: \xff\n", "inchworm.yaml:2: the file is not UTF-8 (byte 0xff)"),
        ("app: x".encode("utf-16"), "inchworm.yaml:1: the file is not UTF-8 (byte 0xff)"),
        (
            b'a: "\\U00110000"',
            "inchworm.yaml: not YAML: an escape or a directive names a number that is too large",
        ),
    ],
)
def test_a_file_as_a_whole(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    Path("inchworm.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(Path("inchworm.yaml"))
    assert str(caught.value) == message


def test_a_missing_file_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^inchworm\.yaml: there is no such file$") as caught:
        load(Path("inchworm.yaml"))
    assert caught.value.hint == "to write one from what is known of the traffic, run: inchworm init"


def test_several_things_are_said_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(f"    a{number}: 1" for number in range(8))
    Path("inchworm.yaml").write_text(GOOD.replace(MODEL, f"{MODEL}\n  parameters:\n{lines}"))
    with pytest.raises(ConfigError) as caught:
        load(Path("inchworm.yaml"))
    assert caught.value.line == 5
    hint = str(caught.value.hint).splitlines()
    assert hint[0] == "also wrong:"
    assert [line.split(": ")[0] for line in hint[1:6]] == [f"  inchworm.yaml:{line}" for line in range(6, 11)]
    assert hint[6:] == ["  and 2 more"]


SECRETS = [
    "sk-abcdefghijklmnopqrstuvwx",
    "hunter2",
    "'4711'",
    "4711",
    "[hunter2]",
    "{env: hunter2}",
    "env:hunter2 hunter2",
    "'env:'",
    "hunter2/run/secrets/openai",
    "file:hunter2",
    "'file:'",
    "file:/run/hunter2 hunter2",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_literal_key_is_refused_and_never_repeated(tmp_path, monkeypatch, secret):
    monkeypatch.chdir(tmp_path)
    Path("inchworm.yaml").write_text(GOOD.replace(MODEL, f"{MODEL}\n  infrastructure: {{api_key: {secret}}}"))
    with pytest.raises(ConfigError) as caught:
        load(Path("inchworm.yaml"))
    assert str(caught.value) == (
        "inchworm.yaml:4: layers.infrastructure.api_key must say where the key is, as in env:OPENAI_API_KEY "
        "or file:/run/secrets/openai; the key itself does not belong here"
    )
    assert caught.value.hint is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "line", ["base_url: https://ana:hunter2@example.org", "upstream: sk-hunter2abcdefghijklmnop"]
)
def test_a_secret_in_another_place_is_not_repeated_either(tmp_path, line):
    file = tmp_path / "inchworm.yaml"
    file.write_text(GOOD.replace(MODEL, f"{MODEL}\n  infrastructure: {{{line}}}"))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


EXAMPLE = "- inputs: {question: q}\n  answer: a\n"


FEW = "few_shot: {file: a.yaml}"
TOOLS = "user: x}\n  tools: {schemas: {file: a.json}"
NAMED = [
    ("user: {file: a.md}", b"\n\xe9t\xe9", "a.md:2: the file is not UTF-8 (byte 0xe9)"),
    ("user: {file: a.md}", b"\n \n", "a.md: the file is empty"),
    (
        FEW,
        f"{EXAMPLE}- inputs: {{}}\n  anwser: a\n".encode(),
        'a.yaml:4: unknown key "anwser" in [1]. Did you mean "answer"?',
    ),
    (FEW, b"a: b", "a.yaml:1: the file must be a list, not a mapping"),
    (FEW, b"a: [", "a.yaml:1: not YAML: expected the node content"),
    (FEW, b"- inputs: {}\n  answer:\n", "a.yaml:2: [0].answer has no value: write one, or leave the key out"),
    (TOOLS, b'{\n"a": }', "a.json:2: not JSON: Expecting value"),
    (TOOLS, b"[NaN]", "a.json: not JSON that can be kept: a number or a nesting beyond all bounds"),
    (TOOLS, b"[" * 100_000, "a.json: not JSON that can be kept: a number or a nesting beyond all bounds"),
    (TOOLS, b"[3]", "a.json: [0] must be a mapping, not the number 3"),
]


@pytest.mark.parametrize(("line", "data", "message"), NAMED)
def test_a_file_that_is_named(tmp_path, monkeypatch, line, data, message):
    monkeypatch.chdir(tmp_path)
    Path(message.split(":")[0]).write_bytes(data)
    Path("inchworm.yaml").write_text(GOOD.replace('user: "{question}"', line))
    with pytest.raises(ConfigError) as caught:
        load(Path("inchworm.yaml"))
    assert str(caught.value).startswith(message)
    assert "inchworm.yaml:" in str(caught.value)  # both files are named
