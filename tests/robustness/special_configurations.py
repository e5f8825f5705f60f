"""Overlays that once ended in a traceback, a hang or a silent surprise, or might have, with what is said.

Where no key is given, the overlay is planned. An empty key stands for the file as a whole.
"""

from typing import NamedTuple

HEAD = "scale: smoke\nselect: [dfp]\n"
LONG = "x" * 5000


class Special(NamedTuple):
    """One overlay; `key` is the key path that the error names, `said` begins what follows."""

    name: str
    content: str | bytes
    key: str | None
    said: str = ""


def _head(name: str, below: str | bytes, key: str | None, said: str = "") -> Special:
    """An overlay that plans one study, and something more."""
    more = below.replace("LONG", LONG) if isinstance(below, str) else below
    return Special(name, HEAD + more if isinstance(more, str) else HEAD.encode() + more, key, said)


def _study(name: str, vary: str, key: str | None, said: str = "", rest: str = "seeds: 1") -> Special:
    """An overlay with a study of its own, s."""
    content = "scale: smoke\nselect: [s]\nstudies:\n  s: {title: t, dataset: voc2012, recipe: dfp, "
    content += "model: {backbone: resnet50, decoder: {kind: fcn}}, " + f"vary: {vary}, {rest}}}\n"
    return Special(name, content, key if key is None else f"studies.s.{key}", said)


def _args(value: str, said: str) -> Special:
    """A value in arguments that no section describes."""
    below = "backbones:\n  resnet50: {args: {block_args: [{y: " + value + "}]}}\n"
    return _head(f"{value} as a free argument", below, "backbones.resnet50.args.block_args[0].y", said)


def _figure(name: str, options: str, key: str | None, said: str = "") -> Special:
    figure = "{kind: curves, title: t, " + options + "}"
    key = key if key is None else f"studies.dfp.figures[0].{key}"
    return _head(name, "studies: {dfp: {figures: [" + figure + "]}}\n", key, said)


def _voc(name: str, below: str, key: str, said: str) -> Special:
    return _head(name, "datasets: {voc2012: {" + below + "}}\n", f"datasets.voc2012.{key}", said)


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
_VALUES = ", ".join(f"v{n}: {{recipe.batch: {n}}}" for n in range(1, 6))
_AXES = "{" + ", ".join(f"a{n}: {{{_VALUES}}}" for n in range(14)) + "}"
_LONG_LABELS = "{p: {" + "x" * 150 + ": {recipe.batch: 3}}, q: {" + "y" * 150 + ": {recipe.epochs: 3}}}"
_WEIGHTS = "sha256: '" + "0" * 64 + "', source: s, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]"
_MASKS = (
    "format: masks, source: {kind: folder, root: /tmp}, classes: [a, b], "
    "splits: {train: {images: a, masks: LONG}, val: {images: a, masks: b}}"
)
_TOO_LONG = "has a name of 5,000 bytes; a disk takes 255"
_NOT_SHOWN = "which cannot be shown; leave it out"

SPECIAL = [
    # the file
    Special("empty", "", "", "is empty; write at least one key"),
    Special("only a comment", "# seeds: 3\n", "", "is empty"),
    Special("a list", "- seeds\n", "", "must be a mapping of keys to values, not a list"),
    Special("a word", "seeds\n", "", "must be a mapping of keys to values, not the value 'seeds'"),
    Special("UTF-16", HEAD.encode("utf-16"), "", "the byte 0xff is not UTF-8"),
    Special("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "", "the byte 0x89 is not UTF-8"),
    _head("not UTF-8", b"scale_note: caf\xe9\n", "scale_note", "the byte 0xe9 is not UTF-8; save the file"),
    _head("a control character", "scale_note: a\x07b\n", "scale_note", "the character U+0007 is not allowed"),
    _head("a NUL", "mirror: a\0b\n", "mirror", "the character U+0000 is not allowed in YAML; remove it"),
    _head("an escaped NUL", 'mirror: "a\\0b"\n', "mirror", f"has the character U+0000, {_NOT_SHOWN}"),
    _head("a surrogate", 'scale_note: "\\ud800"\n', "scale_note", f"has the character U+D800, {_NOT_SHOWN}"),
    _head("too many bytes", f"# {'x' * 500_000}\n", "", "has more than 500,000 bytes"),
    _head("too many values", f"x: [{'1,' * 30_000}]\n", "x[29992]", "the file has more than 30,000 values"),
    # its syntax
    _head(
        "an unclosed quote", 'scale_note: "abc\n', "scale_note", "not valid YAML: a quote is opened here and"
    ),
    _head(
        "an unclosed bracket",
        "recipes: {dfp: [1\n",
        "recipes.dfp",
        "not valid YAML: a bracket is opened here",
    ),
    _head("several documents", "---\nseeds: 2\n", "", "not valid YAML: a second document begins here"),
    _head(
        "a tab",
        "recipes:\n\tdfp: {batch: 2}\n",
        "recipes",
        "not valid YAML: a tab stands here; indent with",
    ),
    _head(
        "no colon", "recipes:\n  dfp:\n    batch 2\n    epochs: 3\n", "recipes.dfp", "not valid YAML: a colon"
    ),
    _head("two colons", "recipes:\n  dfp: batch: 3\n", "recipes.dfp", "not valid YAML: a colon too many"),
    _head(
        "an unknown alias", "recipes: {dfp: *dfp}\n", "recipes.dfp", "not valid YAML: there is no &dfp above"
    ),
    _head(
        "an unknown escape", 'mirror: "C:\\data"\n', "mirror", "not valid YAML: an unknown escape in double"
    ),
    # what has no end
    _head(
        "an alias bomb", _BOMB, "a4", "stands for more than 100,000 values, aliases written out; use fewer"
    ),
    _head("an alias in itself", "recipes: &r {dfp: *r}\n", "recipes.dfp", "refers to itself"),
    _head("a merge of itself", "recipes: &r {<<: *r}\n", "recipes.<<", "refers to itself"),
    _head("deep brackets", f"x: {'[' * 5000}", "x" + "[0]" * 15, "is nested deeper than 64 levels"),
    _head("a long value", f"mirror: {'x' * 10_001}\n", "mirror", "has 10,001 characters; use at most 10,000"),
    _head(
        "a long key", f"recipes: {{{'x' * 201}: 1}}\n", "recipes", f"key '{'x' * 40}...' has 201 characters"
    ),
    # tags and keys
    _head(
        "a name of Python", "mirror: !!python/name:os.system x\n", "mirror", "has the tag !!python/name:os"
    ),
    _head(
        "a call", "mirror: !!python/object/apply:os.system [ls]\n", "mirror", "has the tag !!python/object"
    ),
    _head("a tag", "recipes: {dfp: !mine {batch: 2}}\n", "recipes.dfp", "has the tag !mine"),
    _head("binary", "mirror: !!binary aGk=\n", "mirror", "has the tag !!binary"),
    _head("a set", "recipes: !!set {dfp, cross}\n", "recipes", "has the tag !!set"),
    _head("a key twice", "seeds: 1\nseeds: 2\n", "seeds", "stands twice, first on line 3; keep one"),
    _head(
        "a number as key", "recipes: {4: x}\n", "recipes.4", "the key is a number to YAML; put it in quotes"
    ),
    _head("on as key", "recipes: {on: x}\n", "recipes.on", "the key is true or false to YAML"),
    _head("a list as key", "recipes: {[a]: x}\n", "recipes", "has a mapping or a list for a key"),
    # surprises of YAML 1.1
    _head("sixties", "recipes: {dfp: {batch: 1:30}}\n", "recipes.dfp.batch", "1:30 is 90 to YAML"),
    _head("octal", "seeds: 010\n", "seeds", "010 is 8 to YAML"),
    _head("hexadecimal", "seeds: 0x1F\n", "seeds", "0x1F is 31 to YAML"),
    _head("binary digits", "seeds: 0b11\n", "seeds", "0b11 is 3 to YAML"),
    _head("underscores", "seeds: 1_000\n", "seeds", "1_000 is 1000 to YAML"),
    _head("no", "scale_note: no\n", "scale_note", "no is false to YAML; write false, or 'no' in quotes"),
    _head("yes", "warm_start: yes\n", "warm_start", "yes is true to YAML; write true"),
    _head("off", "warm_start: off\n", "warm_start", "off is false to YAML; write false"),
    _head("y", "warm_start: y\n", "warm_start", "y is true to some readers and a text to YAML; write true"),
    _head("a date", "scale_note: 2024-01-01\n", "scale_note", "2024-01-01 is a date to YAML"),
    _head("1e3 for an integer", "seeds: 1e3\n", "seeds", "1000.0 is not allowed; use an integer"),
    _head("beyond 64 bits", f"seeds: {2**63}\n", "seeds", f"{2**63} is an integer beyond 64 bits to YAML"),
    _args(".nan", ".nan is not a number to YAML"),
    _args("-.inf", "-.inf is infinite to YAML"),
    _args("1e999", "1e999 is infinite to YAML"),
    _args("2024-01-01", "2024-01-01 is a date to YAML"),
    _args("no", "no is false to YAML"),
    _args("=", "= is a sign of its own to YAML"),
    _head(
        "plain free arguments", "backbones: {resnet50: {args: {block_args: [1, 0.5, a, ~, true]}}}\n", None
    ),
    # scales, and how many trainings there are
    Special("a list of scales", "scale: [demo]\n", "scale", "['demo'] is not a scale"),
    Special("scale null", "scale:\n", "scale", "None is not a scale"),
    Special("scales as text", "scales: x\n", "scales", "'x' is not allowed; use a mapping"),
    Special("a scale as list", "scales: {smoke: [1]}\n", "scales.smoke", "[1] is not allowed; use a mapping"),
    Special(
        "1,000 scales",
        "scales:\n" + "".join(f"  s{n}: {{}}\n" for n in range(1000)),
        "scales",
        "has 1,004 scales; use at most 100",
    ),
    _head("a million seeds", "seeds: 1000000\n", "seeds", "dfp has up to 6 rows with 1,000,000 seeds"),
    _head(
        "a million seeds of a study", "studies: {dfp: {seeds: 1000000}}\n", "studies.dfp.seeds", "dfp has up"
    ),
    _study("14 axes of 5", _AXES, "vary", "s has up to 6,103,515,625 rows"),
    _head(
        "any number of trainings", "max_trainings: 1000000000\n", "max_trainings", "1000000000 is not allowed"
    ),
    # axes
    _study(
        "a label without the baseline's key",
        "{p: {a: {model.pyramid: null}, b: {recipe.batch: 2}}}",
        None,
        rest="baseline: {model.pyramid: null}",
    ),
    _study(
        "no label of the baseline",
        "{p: {a: {recipe.batch: 2}, b: {recipe.batch: 3}}}",
        "baseline",
        "no row has",
        rest="baseline: {recipe.batch: 4}",
    ),
    _study(
        "a baseline of no axis",
        "{recipe.batch: [2, 3]}",
        "baseline.seeds",
        "is no axis",
        rest="baseline: {seeds: 1}",
    ),
    _study(
        "a label null", "{p: {a: , b: {recipe.batch: 2}}}", "vary.p.a", "None is not allowed; use a mapping"
    ),
    _study("two labels alike", "{p: {a: {}, b: {}}}", "vary.p.b", "says the same as 'a'"),
    _study(
        "an axis null",
        "{recipe.batch: }",
        "vary.recipe.batch",
        "None is not allowed; use a list or a mapping",
    ),
    _study(
        "an axis without values",
        "{recipe.batch: []}",
        "vary.recipe.batch",
        "has no values; give at least one",
    ),
    _study("a list of recipes", "{recipe: [[dfp]]}", "vary.recipe", "['dfp'] is not in recipes; use dfp"),
    _study(
        "an evaluation as mapping",
        "{evaluation: [{a: 1}]}",
        "vary.evaluation",
        "{'a': 1} is not in evaluations",
    ),
    _study("a dataset null", "{dataset: [null]}", "vary.dataset", "None is not allowed; use text"),
    _study("a model of no kind", "{model: [3]}", "vary.model", "3 is not allowed; use a mapping"),
    _study(
        "an axis above an axis",
        "{model.pyramid.depth: [1], model.pyramid: [{kind: dfp, depth: a}]}",
        "vary.model.pyramid.depth",
        "there is no such key",
    ),
    _study(
        "an axis below an axis",
        "{model.pyramid: [{kind: dfp, depth: 3}], model.pyramid.depth: [9]}",
        "vary.model.pyramid.depth",
        "9 is not allowed; use an integer from 0 to 5",
    ),
    _study(
        "a start from itself", "{}", "init_from", "a training cannot start from", rest="init_from: {study: s}"
    ),
    _study("long labels", _LONG_LABELS, "vary.p", "names files p-xxx"),
    # names and paths
    _figure("a long subject", f"subject: {LONG}", "subject", "names files dfp_xxx"),
    _figure(
        "a subject that leaves its folder", "subject: ../x", "subject", "'../x' is not allowed; use text that"
    ),
    _head("a long prefix", "studies: {dfp: {prefix: LONG}}\n", "studies.dfp.prefix", "names files xxx"),
    _head("a long mirror", "mirror: LONG\n", "mirror", _TOO_LONG),
    _voc("a long root", "source: {kind: folder, root: LONG}", "source.root", _TOO_LONG),
    _voc("a long folder of masks", _MASKS, "splits.train.masks", _TOO_LONG),
    _voc(
        "the home of nobody",
        "source: {kind: folder, root: ~nobody-at-all/x}",
        "source.root",
        "'~nobody-at-all/x'",
    ),
    _voc(
        "an unset variable",
        "source: {kind: folder, root: $NOT_SET_HERE}",
        "source.root",
        "'$NOT_SET_HERE' needs",
    ),
    _head(
        "long weights",
        "backbones: {resnet50: {weights: {file: LONG, " + _WEIGHTS + "}}}\n",
        "backbones.resnet50.weights.file",
        _TOO_LONG,
    ),
    _head(
        "a long component",
        "components: {decoder.mine: 'LONG.py:A'}\n",
        "components.decoder.mine",
        "has a name of 5,003 bytes",
    ),
    # long lists
    _voc(
        "20,000 classes",
        f"classes: [{', '.join(f'c{n}' for n in range(20_000))}]",
        "classes",
        "has 20,000 classes",
    ),
    _voc("20,000 wrong classes", f"classes: [{'1,' * 20_000}]", "classes[0]", "1 is not allowed; use text"),
    _head("10,000 unknown keys", "".join(f"k{n}: 1\n" for n in range(10_000)), "k0", "unknown key"),
    _head("20,000 values for a recipe", f"recipes: {{dfp: [{'1,' * 20_000}]}}\n", "recipes.dfp", "[1, 1, 1"),
    _figure("20,000 rows of a figure", f"subject: c, rows: [{'depth 0,' * 20_000}]", None),
    # sections of another kind
    *(
        _head(f"{section} {kind}", f"{section}: {value}\n", section, f"{shown} is not allowed; use a mapping")
        for section in ("backbones", "datasets", "recipes", "studies", "evaluations", "compute")
        for kind, value, shown in (
            ("null", "~", "None"),
            ("as list", "[dfp]", "['dfp']"),
            ("as number", "3", "3"),
        )
    ),
]
