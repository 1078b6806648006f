//! The report of a study in a real browser: it sorts, logs no error and fetches nothing.
//!
//! Chromium is driven by its DevTools protocol over two named pipes. Without Chromium, or the pipes of
//! Unix, the test says that it is skipped; `.ci/run` installs Debian's package.

use crate::network::root;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Seconds after which the browser is ended, whatever it does.
const PATIENCE: &str = "120";
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=1200,900",
    "about:blank",
];

/// The browser, where there is one.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file());
    named.or(found)
}

struct Browser {
    child: Child,
    commands: File,
    replies: BufReader<File>,
    session: Value,
    number: u64,
    /// Everything that was not asked for.
    events: Vec<Value>,
    _folder: TempDir,
}

impl Browser {
    fn new(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [into, out] = ["into", "out"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args([&into, &out]).status().unwrap().success());
        // descriptors 3 and 4 are where the browser reads commands and writes replies
        let script = "exec timeout \"$0\" \"$@\" 3<\"$INTO\" 4>\"$OUT\"";
        let child = Command::new("sh")
            .args(["-c", script, PATIENCE])
            .arg(program)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .args(FLAGS)
            .env("INTO", &into)
            .env("OUT", &out)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = OpenOptions::new().write(true).open(&into).unwrap();
        let replies = BufReader::new(File::open(&out).unwrap());
        let (session, number, events) = (Value::Null, 0, Vec::new());
        let mut browser =
            Self { child, commands, replies, session, number, events, _folder: folder };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", &target)["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.replies.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let reply = self.read();
            if reply["id"] == self.number {
                assert!(reply["error"].is_null(), "{method}: {reply}");
                return reply["result"].clone();
            }
            self.events.push(reply);
        }
    }

    fn open(&mut self, page: &Path) {
        self.call("Page.navigate", &json!({ "url": format!("file://{}", page.display()) }));
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.read();
            self.events.push(event);
        }
    }

    /// The value of an expression in the page.
    fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", &parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Presses and releases the mouse in the middle of an element.
    fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'center', \
             inline: 'center'}}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + \
             r.height / 2]; }})()"
        );
        let place = self.evaluate(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    fn of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["method"] == method)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.child.wait();
    }
}

/// A small study of the shipped digits.
fn report(folder: &Path) -> PathBuf {
    let output = Command::new(env!("CARGO_BIN_EXE_bellerophon"))
        .args(["study", "--quick", "--images", "60", "--samples", "40", "--encrypted", "0"])
        .args(["--rows", "exact-balanced,square-mean,chebyshev-7-mean,trained-square", "--model"])
        .arg(root().join("models/lenet5.onnx"))
        .arg("--out")
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("report.html")
}

const TABLE: &str = "#results ~ .scroll table";

/// A click on a heading sorts the table, another one the other way.
fn check_sorting(browser: &mut Browser) {
    let column = browser.evaluate(&format!(
        "[...document.querySelectorAll('{TABLE} thead th')].findIndex((h) => h.textContent === 'accuracy %')"
    ));
    let column = column.as_u64().unwrap();
    assert!(column > 0);
    let values = format!(
        "[...document.querySelector('{TABLE}').tBodies[0].rows].map((r) => \
         Number(r.cells[{column}].dataset.key))"
    );
    let numbers = |values: Value| -> Vec<f64> {
        values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let before = numbers(browser.evaluate(&values));
    assert_eq!(before.len(), 5);
    let heading = format!("{TABLE} thead th:nth-child({})", column + 1);
    let state = format!("document.querySelector('{heading}').getAttribute('aria-sort')");
    browser.click(&format!("{heading} button"));
    let mut sorted = before.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    assert_ne!(sorted, before, "the table was sorted before");
    assert_eq!(numbers(browser.evaluate(&values)), sorted);
    assert_eq!(browser.evaluate(&state), "descending");
    browser.click(&format!("{heading} button"));
    sorted.reverse();
    assert_eq!(numbers(browser.evaluate(&values)), sorted);
    assert_eq!(browser.evaluate(&state), "ascending");
}

/// No script has failed, nothing was logged, and nothing but the page was asked for.
fn check_silence(browser: &Browser, page: &Path) {
    for method in ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"] {
        let found: Vec<&Value> = browser.of(method).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    let own = format!("file://{}", page.display());
    let fetched: Vec<&str> = browser
        .of("Network.requestWillBeSent")
        .filter_map(|event| event["params"]["request"]["url"].as_str())
        .collect();
    assert!(fetched.contains(&own.as_str()), "requests are not seen: {fetched:?}");
    let foreign = |address: &&str| **address != own && !address.starts_with("data:");
    assert_eq!(fetched.iter().copied().find(|address| foreign(address)), None);
}

#[test]
fn the_report_sorts_in_a_browser_and_fetches_nothing() {
    let Some(program) = chromium().filter(|_| cfg!(unix)) else {
        eprintln!(
            "SKIPPED the_report_sorts_in_a_browser_and_fetches_nothing: there is no Chromium; install it \
             (on Debian: apt-get install chromium) or name it in CHROMIUM"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = report(folder.path()).canonicalize().unwrap();
    let mut browser = Browser::new(&program);
    browser.open(&page);
    let title = browser.evaluate("document.title");
    assert!(title.as_str().unwrap().contains("the project's own digits"), "{title}");
    assert!(browser.evaluate("document.querySelectorAll('figure svg').length").as_u64() > Some(5));
    assert!(browser.evaluate("document.images.length").as_u64() > Some(0));
    let drawn = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)";
    assert_eq!(browser.evaluate(drawn), true);
    check_sorting(&mut browser);
    // a group that is left out is gone
    browser.click("input[data-group=exact]");
    let gone = "getComputedStyle(document.querySelector('tr[data-group=exact]')).display";
    assert_eq!(browser.evaluate(gone), "none");
    // on a telephone nothing but tables is wider than the screen
    let narrow = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", &narrow);
    let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(width <= 390, "{width}");
    check_silence(&browser, &page);
}
