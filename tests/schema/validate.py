"""Validates documents: a list of [schema, document] comes in as JSON, a list of errors (null: none) goes out."""

import json
import sys

import fastjsonschema

validators = {}


def error(schema, document):
    key = json.dumps(schema)
    if key not in validators:
        validators[key] = fastjsonschema.compile(schema)
    try:
        validators[key](document)
    except fastjsonschema.JsonSchemaValueException as problem:
        return problem.message
    return None


json.dump([error(*pair) for pair in json.load(sys.stdin)], sys.stdout)
