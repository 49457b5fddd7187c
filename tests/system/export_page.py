#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of export html, as Chromium shows it: whole on small and large screens, in light and dark, readable, and
without anything that it would load or run. SPEFW_TEST_PICTURES=DIR keeps the screenshots there; with
SPEFW_TEST_AXE=FILE, which is axe.js of axe-core (from npm), that judges the pages, too."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab import ADDRESS, LICENSE, Lab, browser, main, program, vendor, wait_for  # noqa: E402
from lab.daemon import sanitizer_report  # noqa: E402

NAMES = {vendor.LICENSE_NAME: list(LICENSE[0].values())}
SIZES = (360, 1280)
# By Web Content Accessibility Guidelines 2, level AA: of text in any size, to be on the safe side.
CONTRAST = 4.5

# What is beyond the window, or beyond its own box or drawing.
OVERFLOW = """(() => {
	const found = [], page = document.documentElement;
	if (page.scrollWidth > window.innerWidth) found.push("page " + page.scrollWidth);
	for (const one of document.querySelectorAll("body *")) {
		const box = one.getBoundingClientRect();
		if (!box.width || getComputedStyle(one).position === "absolute" || one.closest("thead")) continue;
		if (box.right > page.clientWidth + 1 || box.left < -1) found.push(one.tagName + " " + box.right);
		if (one.tagName !== "text") continue;
		const inside = [...one.closest("svg").querySelectorAll("rect")].some(rect => {
			const r = rect.getBoundingClientRect();
			return r.left <= box.left && r.right >= box.right && r.top <= box.top &&
				r.bottom >= box.bottom;
		});
		if (!inside) found.push("text " + one.textContent);
	}
	return found;
})()"""

# Every text that is shown, by the colours that the browser has come to.
LOW_CONTRAST = """(limit => {
	const parse = text => (text.match(/[0-9.]+/g) || []).map(Number);
	const light = rgb => rgb.slice(0, 3).map(c => c / 255)
		.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = one => {
		if (one.tagName === "text") {
			const box = one.getBoundingClientRect();
			const behind = [...one.closest("svg").querySelectorAll("rect")].filter(rect => {
				const r = rect.getBoundingClientRect();
				return r.left <= box.left && r.right >= box.right && r.top <= box.top &&
					r.bottom >= box.bottom;
			});
			if (behind.length) return parse(getComputedStyle(behind[behind.length - 1]).fill);
		}
		for (; one; one = one.parentElement) {
			const colour = parse(getComputedStyle(one).backgroundColor);
			if (colour.length === 3 || colour[3] === 1) return colour;
		}
		return [255, 255, 255];
	};
	const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	let texts = 0;
	while (walker.nextNode()) {
		const one = walker.currentNode.parentElement;
		if (!walker.currentNode.textContent.trim() || !one.getBoundingClientRect().width) continue;
		const style = getComputedStyle(one), colour = parse(one.tagName === "text" ? style.fill : style.color);
		const both = [light(colour), light(ground(one))].sort((a, b) => b - a);
		const ratio = (both[0] + 0.05) / (both[1] + 0.05);
		texts++;
		if (ratio < limit)
			found.push(ratio.toFixed(2) + " " + one.tagName + " " + walker.currentNode.textContent);
	}
	return texts > 20 ? found : ["only " + texts + " texts"];
})(%s)""" % CONTRAST

# One title, no step left out, none without text.
HEADINGS = """(() => {
	const found = [], levels = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map(h => {
		if (!h.textContent.trim()) found.push("empty " + h.tagName);
		return Number(h.tagName[1]);
	});
	if (levels[0] !== 1 || levels.filter(level => level === 1).length !== 1) found.push("titles " + levels);
	for (let i = 1; i < levels.length; i++)
		if (levels[i] > levels[i - 1] + 1) found.push("h" + levels[i] + " below h" + levels[i - 1]);
	return levels.length > 5 ? found : ["only " + levels.length + " headings"];
})()"""

ACTIVE = """[...document.querySelectorAll("script,link,img,iframe,object,embed,form,base,a,[src],[href],[style]")]
	.map(one => one.outerHTML.slice(0, 80))
	.concat([...document.querySelectorAll("*")].flatMap(one => [...one.attributes])
		.filter(one => one.name.startsWith("on")).map(one => one.name))"""

AXE = """axe.run(document).then(result =>
	result.violations.map(one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 80)).join(" ")))"""

HOSTILE = """[server]
address = 192.0.2.25

[flow h-in]
from = 203.0.113.77
to = SERVER
protocol = tcp
port = 445
comment = </td><script>document.title='x'</script><img src=x onerror="document.title='x'">&amp; "q" 'a' | ` * _

[flow w-in]
from = %s
to = SERVER
protocol = tcp
port = %s
comment = %s
""" % (" ".join("2001:db8:%x:%x:%x:%x:%x:%x" % ((i + 0x1000,) * 6) for i in range(0, 3)),
       " ".join(str(port) for port in range(1001, 1041, 3)), "w" * 150)


class Pages:
    """Pages in a folder of their own, and the browser that shows them."""

    def __init__(self, tap, window):
        self.tap, self.window = tap, window
        self.folder = tempfile.mkdtemp()
        self.pictures, self.axe = os.environ.get("SPEFW_TEST_PICTURES"), None
        if os.environ.get("SPEFW_TEST_AXE"):
            with open(os.environ["SPEFW_TEST_AXE"], encoding="utf-8") as file:
                self.axe = file.read()

    def close(self):
        shutil.rmtree(self.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name + ".html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def check(self, name, text):
        """On each size and in each colour scheme."""
        path = self.write(name, text)
        for width in SIZES:
            for scheme in ("light", "dark"):
                title = "%s, %d pixels, %s" % (name, width, scheme)
                self.window.look(path, width, scheme=scheme)
                self.tap.equal(self.window.evaluate(OVERFLOW), [], title + ": nothing is beyond the window or its box")
                self.tap.equal(self.window.evaluate(LOW_CONTRAST), [], title + ": contrast")
                if self.axe:
                    self.window.evaluate(self.axe + "; 0")
                    self.tap.equal(self.window.evaluate(AXE), [], title + ": axe-core")
                if self.pictures:
                    self.window.screenshot(os.path.join(self.pictures, "%s-%d-%s.png" % (name, width, scheme)))
        dark = self.window.evaluate("getComputedStyle(document.body).backgroundColor")
        self.window.look(path, SIZES[1])
        light = self.window.evaluate("getComputedStyle(document.body).backgroundColor")
        self.tap.ok(light == "rgb(255, 255, 255)" and dark != light, name + ": light and dark", (light, dark))
        self.tap.equal(self.window.evaluate(HEADINGS), [], name + ": headings")
        self.tap.equal(self.window.evaluate(ACTIVE), [], name + ": nothing to load, to run or to follow")
        self.window.look(path, 794, scheme="dark", media="print")
        self.tap.equal(self.window.evaluate(OVERFLOW), [], name + ": on paper nothing is cut off")
        self.tap.equal(self.window.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)",
                       name + ": paper is white")
        pdf = self.window.pdf()
        self.tap.ok(pdf.startswith(b"%PDF-") and len(pdf) > 10000, name + ": it can be printed", len(pdf))
        asked = [event["params"]["request"]["url"] for event in self.window.events
                 if event["method"] == "Network.requestWillBeSent"]
        self.tap.ok(asked and all(url.startswith("file://" + self.folder) for url in asked), name +
                    ": it asks for nothing", asked)
        said = [event["params"] for event in self.window.events if event["method"] in
                ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Audits.issueAdded")]
        self.tap.equal(said, [], name + ": the browser has nothing to say against it")
        self.validate(name, path)

    def validate(self, name, path):
        if not shutil.which("tidy"):
            self.tap.skip(name + ": HTML", "tidy is missing")
            return
        done = subprocess.run(["tidy", "-q", "-e", "--accessibility-check", "1", path], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)
        # It knows a table by its summary alone, which HTML has not any more; and no element that is newer than it is.
        left = [line for line in done.stdout.split("\n") if line and
                not re.search(r"\[(5\.5|6\.1)\.\d\.\d\]|lacks \"summary\"", line)]
        self.tap.equal(left, [], name + ": HTML, by tidy")


def find_browser(tap):
    path = browser.find()
    if not path:
        tap.skip("pages in a browser", "none of %s is installed" % ", ".join(browser.NAMES))
    return path


def pages(tap):
    """Of a gateway that runs, with findings; of files alone; and of one that is written to harm who looks at it."""
    path = find_browser(tap)
    if not path:
        return
    with Lab(tap) as lab, browser.Browser(path) as window:
        shown = Pages(tap, window)
        lab.dns(NAMES, ttl=300)
        lab.serve("server", tcp=[443])
        daemon = lab.spefwd(lab.config(flows="[role IH]\nmembers = 198.51.100.20\nprotected = yes\n[flow ih-in]\n"
                                       "from = SERVER\nto = IH\nprotocol = tcp\nport = 8463\ncomment = index\n"
                                       "[flow api-in]\nenabled = no\n"))
        daemon.wait_status(lambda status: len(daemon.addresses(vendor.LICENSE_NAME, status)) == 2, "names are known")
        held = lab.connect("client", ADDRESS[4]["server"], 443)
        wait_for(lambda: [flow for flow in daemon.call("Flows")["flows"] if flow["connections"]], "it is seen")
        daemon.ctl("reload")
        daemon.write(lab.config() + "; not loaded\n")
        daemon.wait_status(lambda status: "config-changed" in daemon.reason_codes(status), "a finding")
        text = daemon.ctl("export", "html").stdout
        held.close()
        shown.check("live", text)
        words = window.evaluate("document.body.innerText")
        for part in ("Guarded, with findings.", "198.51.100.20", vendor.LICENSE_NAME, "never",
                     "was changed and is not loaded", "Changes of the last 90 days"):
            tap.ok(part in words, "it tells: " + part, words)
        tap.ok(re.search(r"\d+[smhd] ago", words), "it tells when a flow was used", words)
        with tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8") as file:
            file.write(HOSTILE)
            file.flush()
            strange = os.path.join(shown.folder, "<img src=x onerror=alert(1)>.ini")
            shutil.copy(file.name, strange)
        done = subprocess.run([program("spefwctl"), "export", "html", "-c", strange], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
        tap.ok(done.returncode == 0 and not sanitizer_report(done.stderr), "a hostile file", done)
        shown.check("hostile", done.stdout)
        words = window.evaluate("document.body.innerText")
        tap.ok("<script>document.title='x'</script><img src=x onerror=" in words and "x onerror=alert(1)>.ini" in words,
               "what is markup is shown as it is written", words)
        tap.ok(window.evaluate("document.title").startswith("Firewall statement"), "and not run")
        checks_can_fail(tap, shown, text)
        shown.close()


def checks_can_fail(tap, shown, text):
    """The same page with a fault each."""
    faults = [("</main>", "<p style='width:3000px'>wide</p></main>", OVERFLOW, 360, "what is too wide"),
              ("</main>", "<p style='color:#999'>faint</p></main>", LOW_CONTRAST, 360, "what is faint"),
              ("--muted:#4d5a6b", "--muted:#8d9aab", LOW_CONTRAST, 1280, "a colour of the style that is faint"),
              ("</main>", "<h5>deep</h5></main>", HEADINGS, 360, "a heading of the wrong level"),
              ("</main>", "<img src='x'></main>", ACTIVE, 360, "what loads something"),
              ("text.title{font-weight:600;font-size:15px}", "text.title{font-size:60px}", OVERFLOW, 1280,
               "text that is wider than its box")]
    for what, other, check, width, title in faults:
        tap.ok(what in text, title + ": the fault can be made")
        shown.window.look(shown.write("fault", text.replace(what, other)), width)
        tap.ok(shown.window.evaluate(check), "found: " + title)


if __name__ == "__main__":
    main(pages)
