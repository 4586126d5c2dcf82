//! The page in a real browser, without a screen: that it is laid out as meant, and a picture of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// The first of these that is there.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "google-chrome", "chrome"];
const WIDTH: u32 = 1000;
/// Behind the page, for the browser alone: how high it is; and what of its plots lies outside of them, or has no size.
const LOOK: &str = "<script>addEventListener('load', () => {
  let faults = [];
  for (const svg of document.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    if (box.width < 100 || box.height < 10) faults.push('a plot of ' + box.width + ' by ' + box.height);
    for (const text of svg.querySelectorAll('text')) {
      const at = text.getBoundingClientRect();
      if (at.left < box.left - 1 || at.right > box.right + 1 || at.bottom > box.bottom + 1) faults.push('outside: ' + text.textContent);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push('wider than the window');
  document.title = 'high ' + document.documentElement.scrollHeight + ' faults ' + JSON.stringify(faults);
})</script>";

/// Writes a picture of the whole page.
pub fn picture(page: &Path, png: &Path) -> Result<()> {
    let looked_at = tempfile::Builder::new().suffix(".html").tempfile()?;
    fs::write(looked_at.path(), fs::read_to_string(page)? + LOOK)?;
    let seen = browse(looked_at.path(), 1000, "--dump-dom")?;
    let dom = String::from_utf8_lossy(&seen.stdout).into_owned();
    let title = dom.split_once("<title>high ").and_then(|(_, rest)| rest.split_once("</title>"));
    let (high, faults) =
        title.and_then(|(title, _)| title.split_once(" faults ")).context("the browser has not looked at the page")?;
    if faults != "[]" {
        bail!("the page is not laid out as meant: {faults}");
    }
    let absolute = std::path::absolute(png)?;
    browse(page, high.parse()?, &format!("--screenshot={}", absolute.display()))?;
    // What it was told to write is there, and a picture.
    let bytes = fs::read(png).with_context(|| png.display().to_string())?;
    if !bytes.starts_with(b"\x89PNG") { bail!("{} is no picture", png.display()) } else { Ok(()) }
}

fn browse(page: &Path, height: u32, action: &str) -> Result<Output> {
    let url = format!("file://{}", std::path::absolute(page)?.display());
    for browser in BROWSERS {
        let mut command = Command::new(browser);
        // Pages of this program's own: nothing in them needs to be kept from the machine.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"]);
        command.args([&format!("--window-size={WIDTH},{height}"), action, &url]);
        match command.output() {
            Ok(output) if output.status.success() => return Ok(output),
            Ok(output) => bail!("{browser}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => {}
        }
    }
    bail!("there is no browser here: {}", BROWSERS.join(", "))
}
