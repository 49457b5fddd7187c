# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a Varlink interface description and judges replies by it:
what the file promises is what the daemon must answer."""
import re

_TOKEN = re.compile(r"#[^\n]*|->|\[\]|\[string\]|[A-Za-z_][A-Za-z0-9_.\-]*|[?():,]")


class Interface:
    def __init__(self, text):
        self._tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#")]
        self._at = 0
        self.types, self.methods, self.errors = {}, {}, {}
        self._expect("interface")
        self.name = self._next()
        while self._at < len(self._tokens):
            kind, name = self._next(), self._next()
            if kind == "method":
                self.methods[name] = (self._type(), (self._expect("->"), self._type())[1])
            else:
                {"type": self.types, "error": self.errors}[kind][name] = self._type()

    def _next(self):
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token):
        got = self._next()
        if got != token:
            raise ValueError("expected %s, not %s" % (token, got))

    def _type(self):
        token = self._next()
        if token == "?":
            return ("maybe", self._type())
        if token == "[]":
            return ("list", self._type())
        if token == "[string]":
            return ("map", self._type())
        if token != "(":
            return ("name", token)
        fields, names = {}, []
        while True:
            name = self._next()
            if name == ")":
                break
            if name == ",":
                continue
            if self._tokens[self._at] == ":":
                self._at += 1
                fields[name] = self._type()
            else:
                names.append(name)
        return ("enum", names) if names else ("struct", fields)

    def complaints(self, kind, value, where="reply"):
        """What is wrong with value, as a list of texts; [] where nothing is."""
        form, inner = kind
        if form == "maybe":
            return [] if value is None else self.complaints(inner, value, where)
        if form == "name":
            if inner in self.types:
                return self.complaints(self.types[inner], value, where)
            right = {"string": isinstance(value, str), "bool": isinstance(value, bool), "object": True,
                     "int": isinstance(value, int) and not isinstance(value, bool),
                     "float": isinstance(value, (int, float))}[inner]
            return [] if right else ["%s: %r is no %s" % (where, value, inner)]
        if form == "enum":
            return [] if value in inner else ["%s: %r is none of %s" % (where, value, inner)]
        if form == "list":
            if not isinstance(value, list):
                return ["%s: %r is no list" % (where, value)]
            return [text for index, one in enumerate(value)
                    for text in self.complaints(inner, one, "%s[%d]" % (where, index))]
        if not isinstance(value, dict):
            return ["%s: %r is no object" % (where, value)]
        if form == "map":
            return [text for key, one in value.items() for text in self.complaints(inner, one, "%s.%s" % (where, key))]
        result = ["%s: unknown field %s" % (where, key) for key in value if key not in inner]
        for key, field in inner.items():
            if key not in value and field[0] != "maybe":
                result.append("%s: %s is missing" % (where, key))
            elif key in value:
                result += self.complaints(field, value[key], "%s.%s" % (where, key))
        return result
