#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Metrics: what promtool, node_exporter and Prometheus make of them; the alert rules and the dashboards beside them."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, FAMILIES, LICENSE, NARROW, Lab, RawSender, main, namespaces, vendor, wait_for  # noqa: E402
from lab.daemon import TOP  # noqa: E402
try:
    import jsonschema
except ImportError:
    jsonschema = None

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
RULES = os.path.join(TOP, "packaging", "prometheus")
DASHBOARDS = sorted(glob.glob(os.path.join(TOP, "packaging", "grafana", "*.json")))
SAMPLE = re.compile(r'^(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$', re.M)
CONFIG = NARROW + "[flow https-in]\nexpect = 1h\n"


def lacking(tap, title, *programs):
    """Whether a program is not here, which is printed: distributions other than Debian may have no package of it."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        tap.skip(title, "%s is not installed" % missing[0])
    return bool(missing)


def promtool(*argv, text=None, where=None):
    done = subprocess.run(["promtool", *argv], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, check=False, cwd=where)
    return done.returncode, done.stdout


def samples(text):
    """{name: {labels: value}}, whatever the order of labels."""
    found = {}
    for name, labels, value in SAMPLE.findall(text):
        key = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)))
        found.setdefault(name, {})[key] = float(value)
    return found


def helps(text):
    """{name: (type, help)}"""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    return {name: (types.get(name), words) for name, words in re.findall(r"^# HELP (\S+) (.*)$", text, re.M)}


def linted(tap):
    """In each state of the daemon promtool has nothing to say."""
    if lacking(tap, "promtool check metrics", "promtool"):
        return
    with Lab(tap) as lab:
        server = lab.dns(NAMES)
        daemon = lab.spefwd(lab.config(flows=CONFIG))
        daemon.wait_status(lambda status: status["health"] == "ok", "all is well")
        seen = set()

        def judge(what):
            text = daemon.ctl("metrics", check=False).stdout
            seen.update(name for name, of in samples(text).items() if of)
            tap.equal(promtool("check", "metrics", text=text), (0, ""), "%s: without a word" % what)
            return text
        text = judge("healthy")
        tap.equal([name for name in samples(text) if name not in helps(text)], [], "each sample has its help and type")
        server.down()
        daemon.call("Refresh")
        daemon.wait_status(lambda status: status["health"] == "degraded", "DNS fails")
        tap.ok("\nspefw_healthy 0\n" in judge("degraded"), "and health is not ok")
        daemon.call("Clear")
        tap.ok("\nspefw_failed 1\n" in judge("cleared"), "and health is failed")
        daemon.reload(lab.config(flows=CONFIG).replace("enforce", "audit"))
        tap.ok("\nspefw_enforcing 0\n" in judge("audit"), "and nothing is denied")
        daemon.reload(lab.config(flows=CONFIG))
        daemon.write(lab.config(flows=CONFIG, gateway="early_drop = no"))
        daemon.ctl("reload", "--confirm")
        tap.ok("\nspefw_confirm_left_seconds " in judge("a reload waits"), "and it is shown for how long")
        daemon.stop()
        judge("without the daemon")
        tap.equal(used() - seen, {"spefw_flow_last_used_seconds"},
                  "but for an unused flow, every metric of rules and dashboards had samples")


def used():
    """The metrics that the alert rules and the dashboards name."""
    names = set()
    for path in [RULES + "/spefw.rules.yml"] + DASHBOARDS:
        with open(path, encoding="utf-8") as file:
            names |= set(re.findall(r"\bspefw_\w+", file.read()))
    return names


class Monitoring:
    """node_exporter and Prometheus on the gateway, as an administrator sets them up; scraped each second."""

    def __init__(self, lab, daemon):
        self.lab, self.daemon, self.dir = lab, daemon, os.path.join(lab.dir, "monitoring")
        os.makedirs(self.dir + "/textfiles")
        self.write()
        lab.start("gateway", "prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                  "--collector.textfile.directory=" + self.dir + "/textfiles", "--web.listen-address=127.0.0.1:9100")
        with open(self.dir + "/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [RULES + "/spefw.rules.yml"],
                       "scrape_configs": [{"job_name": "node",
                                           "static_configs": [{"targets": ["127.0.0.1:9100"]}]}]}, file)
        process = lab.start("gateway", "prometheus", "--config.file=" + self.dir + "/prometheus.yml",
                            "--storage.tsdb.path=" + self.dir + "/data", "--web.listen-address=127.0.0.1:9090")

        def ready():
            if process.poll() is not None:
                with open(process.log, encoding="utf-8") as file:
                    raise RuntimeError("prometheus ended: " + file.read()[-2000:])
            return self.query("spefw_up")
        wait_for(ready, "Prometheus has scraped")

    def write(self):
        """What spefw-metrics.service does."""
        text = self.daemon.ctl("metrics", check=False).stdout
        with open(self.dir + "/textfiles/.spefw.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.dir + "/textfiles/.spefw.new", self.dir + "/textfiles/spefw.prom")
        return text

    def get(self, port, path):
        with namespaces.inside("gateway"):
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=30) as reply:
                return reply.read().decode()

    def api(self, path):
        try:
            return json.loads(self.get(9090, "/api/v1/" + path))["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it has just begun
                return {}
            raise ValueError("%s: %s" % (path, error.read().decode())) from None
        except OSError:
            return {}

    def query(self, expression):
        """The samples that it has now: [(labels, value)]"""
        return [(one["metric"], float(one["value"][1]))
                for one in self.api("query?query=" + urllib.parse.quote(expression)).get("result", [])]


def read(tap):
    """A real node_exporter reads the file, and Prometheus has every number of it; alerts and dashboards go by them."""
    if lacking(tap, "metrics in Prometheus", "prometheus", "prometheus-node-exporter"):
        return
    with Lab(tap) as lab:
        lab.dns(NAMES)
        lab.serve("server", tcp=[443])
        daemon = lab.spefwd(lab.config(flows=CONFIG))
        daemon.wait_status(lambda status: status["health"] == "ok", "all is well")
        connections = [lab.connect("client", ADDRESS[family]["server"], 443) for family in FAMILIES]
        wait_for(lambda: "flow_last_used_seconds{" in daemon.ctl("metrics").stdout, "https-in is seen to be used")
        monitoring = Monitoring(lab, daemon)
        text = monitoring.write()
        page = monitoring.get(9100, "/metrics")
        tap.ok("\nnode_textfile_scrape_error 0\n" in page, "node_exporter reads the file")
        got = {name: of for name, of in samples(page).items() if name.startswith("spefw_")}
        tap.equal(got, samples(text), "and shows every sample of it")
        shown = {name: one for name, one in helps(page).items() if name.startswith("spefw_")}
        wanted = {name: one for name, one in helps(text).items() if name in samples(text)}
        tap.equal(shown, wanted, "with its help and type")
        known = monitoring.api("metadata")
        tap.equal({name: (known[name][0]["type"], known[name][0]["help"]) for name in known
                   if name.startswith("spefw_")}, wanted, "which Prometheus has as well")
        alerts(tap, monitoring)
        denied(tap, lab, monitoring)
        dashboards(tap, monitoring, set(helps(text)))
        daemon.stop()
        monitoring.write()
        wait_for(lambda: states(monitoring).get("SpefwDown") == "pending", "SpefwDown sees that the daemon has stopped")
        tap.ok(set(states(monitoring).values()) == {"inactive", "pending"}, "stopped: an alert waits for its time",
               states(monitoring))
        for connection in connections:
            connection.close()


def states(monitoring):
    return {rule["name"]: rule["state"] for group in monitoring.api("rules")["groups"] for rule in group["rules"]}


def alerts(tap, monitoring):
    """Every rule is loaded and evaluated."""
    def rules():
        return [rule for group in monitoring.api("rules")["groups"] for rule in group["rules"]]
    wait_for(lambda: rules() and all(rule["health"] != "unknown" for rule in rules()), "the rules are evaluated")
    tap.equal([rule["name"] for rule in rules() if rule["health"] != "ok"], [], "each rule is evaluated without error")
    tap.equal({name: state for name, state in states(monitoring).items() if state != "inactive"}, {},
              "healthy: no alert")


def denied(tap, lab, monitoring):
    """Denied packets are seen in Prometheus, as many as there were."""
    expression = 'spefw_denied_total{kind=~"in|early"}'

    def total():
        monitoring.write()
        return sum(value for _, value in monitoring.query(expression))
    wait_for(lambda: len(monitoring.query(expression)) == 2, "the counters are there")
    before = total()
    with RawSender("client", ADDRESS[4]["client"], ADDRESS[4]["server"]) as sender:
        for port in range(7000, 7007):
            sender.tcp(40000, port)
    wait_for(lambda: total() >= before + 7, "the denied packets are counted in Prometheus")
    tap.equal(total(), before + 7, "seven denied packets are seven in Prometheus")


# -- dashboards

NUMBER, TEXT, BOOL = {"type": "integer"}, {"type": "string"}, {"type": "boolean"}


def strict(required, optional=None):
    """An object with these members and no other."""
    return {"type": "object", "required": sorted(required), "additionalProperties": False,
            "properties": dict(required, **(optional or {}))}


def several(of):
    return {"type": "array", "items": of}


OF_VARIABLE = strict({"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}})
PLACE = strict({"h": dict(NUMBER, minimum=1), "w": dict(NUMBER, minimum=1, maximum=24),
                "x": dict(NUMBER, minimum=0, maximum=23), "y": dict(NUMBER, minimum=0)})
TARGET = strict({"refId": dict(TEXT, pattern="^[A-Z]$"), "datasource": OF_VARIABLE, "expr": TEXT, "legendFormat": TEXT,
                 "range": BOOL, "instant": BOOL}, {"format": {"const": "table"}})
ROW = strict({"id": NUMBER, "type": {"const": "row"}, "title": TEXT, "gridPos": PLACE, "collapsed": {"const": False},
              "panels": {"type": "array", "maxItems": 0}})
PANEL = strict({"id": NUMBER, "type": {"enum": ["stat", "timeseries", "table"]}, "title": dict(TEXT, minLength=1),
                "description": TEXT, "datasource": OF_VARIABLE, "gridPos": PLACE, "targets": dict(several(TARGET),
                                                                                                  minItems=1),
                "fieldConfig": strict({"defaults": {"type": "object"},
                                       "overrides": several(strict({"matcher": strict({"id": {"const": "byName"},
                                                                                       "options": TEXT}),
                                                                    "properties": several(strict({"id": TEXT,
                                                                                                  "value": {}}))}))}),
                "options": {"type": "object"}},
               {"transformations": several(strict({"id": {"enum": ["merge", "organize"]},
                                                   "options": {"type": "object"}}))})
VARIABLE = {"type": "object", "required": ["name", "type", "query"],
            "properties": {"name": dict(TEXT, pattern="^[a-z]+$"), "type": {"enum": ["datasource", "query"]}}}
DASHBOARD = strict({"uid": dict(TEXT, maxLength=40, pattern="^[a-z-]+$"), "title": TEXT, "description": TEXT,
                    "tags": several(TEXT), "schemaVersion": dict(NUMBER, minimum=36), "version": NUMBER,
                    "editable": BOOL, "graphTooltip": NUMBER, "time": strict({"from": TEXT, "to": TEXT}),
                    "refresh": TEXT, "timezone": TEXT, "timepicker": {"type": "object"},
                    "fiscalYearStartMonth": NUMBER, "annotations": strict({"list": several({"type": "object"})}),
                    "links": several({"type": "object"}), "templating": strict({"list": several(VARIABLE)}),
                    "panels": several({"oneOf": [ROW, PANEL]})})


def boards():
    for path in DASHBOARDS:
        with open(path, encoding="utf-8") as file:
            yield os.path.basename(path), json.load(file)


def overlaps(panels):
    places = [panel["gridPos"] for panel in panels]
    return [(a, b) for number, a in enumerate(places) for b in places[:number]
            if a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]]


def drawn(tap):
    """The dashboards are in shape, and lead to each other."""
    uids = {board["uid"] for _, board in boards()}
    tap.equal(uids, {"spefw-gateway", "spefw-fleet"}, "one of a gateway, one of a fleet")
    for name, board in boards():
        if jsonschema:
            errors = ["%s: %s" % ("/".join(map(str, error.absolute_path)), error.message[:200])
                      for error in jsonschema.Draft7Validator(DASHBOARD).iter_errors(board)]
            tap.equal(errors, [], "%s is in the shape of a dashboard" % name)
        else:
            tap.skip("%s is in the shape of a dashboard" % name, "python3-jsonschema is not installed")
        ids = [panel["id"] for panel in board["panels"]]
        tap.ok(len(set(ids)) == len(ids) and overlaps(board["panels"]) == []
               and all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"]),
               "%s: each panel has an id and a place of its own" % name, overlaps(board["panels"]))
        text = json.dumps(board)
        tap.equal({uid for uid in re.findall(r"/d/([a-z-]+)", text)} - uids, set(), "%s: links lead somewhere" % name)
        tap.ok("/d/" in text, "%s: and there is one" % name)


def expressions(board):
    """[(panel's title, expression)], with the variables of the dashboard filled in."""
    names = {variable["name"] for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval"}
            if used - names:
                raise ValueError("%s: no variable %s" % (panel["title"], used - names))
            yield panel["title"], target["expr"].replace("$instance", "127.0.0.1:9100").replace("$__rate_interval",
                                                                                                "1m")


def dashboards(tap, monitoring, printed):
    """Each panel asks for what there is, in words that Prometheus understands."""
    for name, board in boards():
        wanted = list(expressions(board))
        named = {metric for _, expression in wanted for metric in re.findall(r"\bspefw_\w+", expression)}
        tap.ok(named and named <= printed, "%s: every metric that a panel names is printed" % name, named - printed)
        refused = []
        for title, expression in wanted:
            try:
                monitoring.query(expression)
            except ValueError as error:
                refused.append("%s: %s" % (title, error))
        tap.equal(refused, [], "%s: Prometheus understands all of %d expressions" % (name, len(wanted)))
        # What has a comparison may be empty while all is well, and what no change waits for.
        wait_for(lambda full=[one for _, one in wanted if not re.search(r"[<>]|==| unless |confirm_left", one)]:
                 all(monitoring.query(one) for one in full), "every panel of %s has something to show" % name)
        tap.ok(True, "%s: what is always there is shown" % name)


def ruled(tap):
    """promtool on the alert rules, and on their tests."""
    if lacking(tap, "promtool check rules", "promtool"):
        return
    status, output = promtool("check", "rules", "spefw.rules.yml", where=RULES)
    tap.ok(status == 0 and "SUCCESS" in output, "promtool check rules", output)
    status, output = promtool("test", "rules", "spefw.rules.test.yml", where=RULES)
    tap.ok(status == 0 and "SUCCESS" in output and "FAILED" not in output, "promtool test rules", output)
    with open(RULES + "/spefw.rules.yml", encoding="utf-8") as file:
        alerts_there = set(re.findall(r"- alert: (\w+)", file.read()))
    with open(RULES + "/spefw.rules.test.yml", encoding="utf-8") as file:
        text = file.read()
    fires = set(re.findall(r"alertname: (\w+)\n +eval_time: [^\n]*\n +exp_alerts:", text))
    quiet = set(re.findall(r"alertname: (\w+)\n +eval_time: [^\n]*\n(?! +exp_alerts:)", text))
    tap.equal((alerts_there - fires, alerts_there - quiet), (set(), set()),
              "each alert has a test where it fires, and one where it does not")


if __name__ == "__main__":
    main(linted, drawn, ruled, read)
