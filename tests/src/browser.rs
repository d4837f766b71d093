//! A real Chromium: opens the server's pages, clicks and types in them, and hears what they ask for and complain about.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use headless_chrome::{
    LaunchOptions, Tab,
    browser::default_executable,
    protocol::cdp::{Emulation, Log, Network, Page as PageDomain, Runtime, types::Event},
};
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::wait_for;

/// Plenty even for a busy machine: nothing here is about speed.
const PATIENCE: Duration = Duration::from_secs(60);
/// A browser that nobody hears of for so long is given up; a page at rest says nothing, however well it is.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Chromium's own business on the network, which is none of ours.
const ARGUMENTS: [&str; 3] = ["--disable-component-update", "--disable-quic", "--disable-domain-reliability"];

/// What a policy forbids is not always told of on the console.
const TELL_OF_VIOLATIONS: &str =
    "document.addEventListener('securitypolicyviolation', (violation) => console.error(
    `forbidden by ${violation.effectiveDirective}: ${violation.blockedURI}`));";

/// A browser with a profile of its own; dropped, it is closed.
pub struct Browser(headless_chrome::Browser);

impl Browser {
    /// Starts it; `None`, where no Chromium or Chrome is installed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn launch() -> Result<Option<Self>> {
        let Ok(path) = default_executable() else { return Ok(None) };
        let options = LaunchOptions {
            path: Some(path.clone()),
            // As root it does not run in one.
            sandbox: !Uid::effective().is_root(),
            args: ARGUMENTS.iter().map(OsStr::new).collect(),
            idle_browser_timeout: IDLE_TIMEOUT,
            ..LaunchOptions::default()
        };
        let browser = headless_chrome::Browser::new(options);
        Ok(Some(Self(browser.with_context(|| format!("{} does not start", path.display()))?)))
    }

    /// Opens a page in a window of `width` × `height` pixels.
    ///
    /// # Errors
    /// When it does not load, as for whatever is done with it.
    pub fn open(&self, url: &str, (width, height): (u32, u32)) -> Result<Page> {
        let tab = self.0.new_tab()?;
        tab.set_default_timeout(PATIENCE);
        let heard = Arc::<Mutex<Heard>>::default();
        let listener = Arc::clone(&heard);
        tab.add_event_listener(Arc::new(move |event: &Event| {
            listener.lock().unwrap_or_else(PoisonError::into_inner).note(event);
        }))?;
        tab.enable_log()?.enable_runtime()?;
        tab.call_method(command::<Network::Enable>(json!({}))?)?;
        let script = json!({ "source": TELL_OF_VIOLATIONS });
        tab.call_method(command::<PageDomain::AddScriptToEvaluateOnNewDocument>(script)?)?;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        tab.call_method(command::<Emulation::SetDeviceMetricsOverride>(size)?)?;
        tab.navigate_to(url)?.wait_until_navigated()?;
        Ok(Page { tab, heard })
    }
}

/// A command of the protocol with nothing but what matters; the rest has to be left out one by one otherwise.
fn command<T: DeserializeOwned>(parameters: Value) -> Result<T> {
    serde_json::from_value(parameters).context("no such command")
}

/// An open page.
pub struct Page {
    tab: Arc<Tab>,
    heard: Arc<Mutex<Heard>>,
}

impl Page {
    /// The text, number or truth a JavaScript expression comes to; a promise is awaited.
    ///
    /// # Errors
    /// When it throws; else see [`Browser::open`].
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        let result = self.tab.evaluate(expression, true).with_context(|| expression.to_owned())?;
        let has_thrown = matches!(result.subtype, Some(Runtime::RemoteObjectSubtype::Error));
        ensure!(!has_thrown, "{expression}: {}", result.description.unwrap_or_default());
        Ok(result.value.unwrap_or(Value::Null))
    }

    /// Waits until a JavaScript expression is true.
    ///
    /// # Errors
    /// When it never is.
    pub fn await_that(&self, expression: &str) -> Result<()> {
        let is_so = || Ok((self.evaluate(expression)? == true).then_some(()));
        wait_for(expression, PATIENCE, is_so).with_context(|| format!("complaints: {:?}", self.complaints()))
    }

    /// Waits for the element a CSS selector finds and clicks on its middle, as a hand would.
    ///
    /// # Errors
    /// See [`Browser::open`].
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.tab.wait_for_element(selector).with_context(|| selector.to_owned())?;
        element.click().with_context(|| selector.to_owned()).map(|_| ())
    }

    /// Types into whatever has the focus.
    ///
    /// # Errors
    /// See [`Browser::open`].
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tab.type_str(text).map(|_| ())
    }

    /// Presses a key, such as `Enter`.
    ///
    /// # Errors
    /// See [`Browser::open`].
    pub fn press(&self, key: &str) -> Result<()> {
        self.tab.press_key(key).map(|_| ())
    }

    /// Writes what is to be seen into a PNG file.
    ///
    /// # Errors
    /// See [`Browser::open`].
    pub fn screenshot(&self, file: &Path) -> Result<()> {
        let format = PageDomain::CaptureScreenshotFormatOption::Png;
        let picture = self.tab.capture_screenshot(format, None, None, true)?;
        fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Addresses the page has asked for so far, those of data inside pages left out.
    pub fn requests(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// Errors and warnings so far: of the console, of scripts, of the network, of policies.
    pub fn complaints(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).complaints.clone()
    }
}

#[derive(Default)]
struct Heard {
    requests: Vec<String>,
    complaints: Vec<String>,
}

impl Heard {
    fn note(&mut self, event: &Event) {
        match event {
            Event::NetworkRequestWillBeSent(event) if !event.params.request.url.starts_with("data:") => {
                self.requests.push(event.params.request.url.clone());
            }
            Event::LogEntryAdded(event) => {
                let entry = &event.params.entry;
                if matches!(entry.level, Log::LogEntryLevel::Error | Log::LogEntryLevel::Warning) {
                    let place = entry.url.as_deref().unwrap_or_default();
                    self.complaints.push(format!("{} {place}", entry.text));
                }
            }
            Event::RuntimeConsoleAPICalled(event) => {
                use Runtime::ConsoleAPICalledEventTypeOption::{Assert, Error, Warning};
                if matches!(event.params.Type, Error | Warning | Assert) {
                    let words = event.params.args.iter().map(|word| match &word.value {
                        Some(Value::String(text)) => text.clone(),
                        Some(value) => value.to_string(),
                        None => word.description.clone().unwrap_or_default(),
                    });
                    self.complaints.push(words.collect::<Vec<_>>().join(" "));
                }
            }
            Event::RuntimeExceptionThrown(event) => {
                let details = &event.params.exception_details;
                let what = details.exception.as_ref().and_then(|exception| exception.description.clone());
                self.complaints.push(what.unwrap_or_else(|| details.text.clone()));
            }
            _ => {}
        }
    }
}
