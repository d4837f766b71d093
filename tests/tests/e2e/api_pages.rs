//! The API's pages in a real browser: they work, with nothing but this server, under the policy it sends along.

use anyhow::{Context as _, Result, ensure};
use vedette_tests::browser::{Browser, Page};

use crate::scene::Scene;

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

/// The browser, unless there is none, which is said.
fn browser() -> Result<Option<Browser>> {
    let browser = Browser::launch()?;
    if browser.is_none() {
        eprintln!("skipped: neither Chromium nor Chrome is installed");
    }
    Ok(browser)
}

impl Scene {
    /// Everything a page asked for came from here, and nothing made it complain.
    fn expect_contentment(&self, page: &Page) -> Result<()> {
        let here = self.api.url("/");
        let foreign: Vec<String> =
            page.requests().into_iter().filter(|url| !url.starts_with(&here)).collect();
        ensure!(foreign.is_empty(), "the page asks others: {foreign:?}");
        let complaints = page.complaints();
        ensure!(complaints.is_empty(), "{complaints:?}");
        // As wide as the window: nothing has to be scrolled sideways.
        page.await_that("document.documentElement.scrollWidth <= window.innerWidth")
    }
}

#[test]
fn requests_are_tried_out_in_swagger_ui() -> Result<()> {
    let Some(browser) = browser()? else { return Ok(()) };
    let scene = Scene::set()?;
    let page = browser.open(&scene.api.url("/docs"), DESKTOP)?;
    page.click(".btn.authorize")?;
    page.click("#auth-bearer-value")?;
    page.type_text(scene.api.token().context("nobody is signed in")?)?;
    page.press("Enter")?;
    page.click(".modal-ux .btn-done")?;

    let me = "[id$='-auth_me']";
    page.click(&format!("{me} .opblock-summary-control"))?;
    page.click(&format!("{me} .execute"))?;
    let answer = format!("document.querySelector(\"{me} .live-responses-table .response\")?.innerText");
    page.await_that(&format!("/^200\\b/.test({answer}) && {answer}.includes('\"admin\"')"))?;
    scene.expect_contentment(&page)
}

#[test]
fn redoc_shows_every_operation_and_finds_it_by_its_words() -> Result<()> {
    let Some(browser) = browser()? else { return Ok(()) };
    let scene = Scene::set()?;
    let page = browser.open(&scene.api.url("/redoc"), DESKTOP)?;
    page.click("[data-testid='search-trigger']")?;
    page.await_that("document.activeElement.placeholder?.startsWith('Search')")?;
    page.type_text("heartbeat")?;
    page.await_that("!!document.querySelector('[data-testid=search-dialog] a[href*=heartbeat]')")?;
    page.press("ArrowDown")?;
    page.press("Enter")?;
    page.await_that("location.hash.includes('heartbeat')")?;
    scene.expect_contentment(&page)
}

#[test]
fn the_pages_fit_a_phone() -> Result<()> {
    let Some(browser) = browser()? else { return Ok(()) };
    let scene = Scene::set()?;
    for path in ["/docs", "/redoc"] {
        let page = browser.open(&scene.api.url(path), PHONE)?;
        page.await_that("document.body.innerText.includes('Vedette')")?;
        scene.expect_contentment(&page)?;
    }
    Ok(())
}
