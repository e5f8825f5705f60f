"""The committed JSON schema is that of the models, and says the same as they do."""

import json

import jsonschema
import pytest

from pipeline_src.config.schema import SCHEMA_FILE, check, schema_text
from pipeline_src.config.study import params_model
from pipeline_src.config.yaml_text import read_yaml
from pipeline_src.errors import InputError


def test_committed_schema_has_not_drifted():
    check()


def test_a_drift_is_named(tmp_path):
    stale = tmp_path / "schema.json"
    stale.write_text(schema_text().replace("Base learning rate", "Old text"))
    with pytest.raises(InputError, match="has drifted from the models"):
        check(stale)


def test_params_yaml_validates_against_the_schema():
    jsonschema.validate(read_yaml("params.yaml"), json.loads(SCHEMA_FILE.read_text()))


def test_schema_refuses_what_the_models_refuse():
    tree = read_yaml("params.yaml") | {"unknown": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, json.loads(SCHEMA_FILE.read_text()))


def test_every_field_is_described():
    schema = params_model().model_json_schema()
    definitions = schema["$defs"]

    def walk(schema, where):
        for name, field in schema.get("properties", {}).items():
            described = "description" in field or "description" in definitions[field["$ref"].split("/")[-1]]
            assert described, f"{where}.{name}"

    walk(schema, "Params")
    for name, definition in definitions.items():
        walk(definition, name)
