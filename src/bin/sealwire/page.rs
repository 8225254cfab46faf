//! The page that `sealwire serve` answers with. It needs nothing from elsewhere, and escapes whatever it shows.

/// The page for these rows.
pub(crate) fn negotiated(rows: &[(&'static str, String)], post_quantum: bool) -> String {
    let cells: String = rows
        .iter()
        .map(|(name, value)| {
            format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(value))
        })
        .collect();
    let verdict = if post_quantum {
        "<p class=\"good\">The key exchange resists quantum computers.</p>"
    } else {
        "<p class=\"note\">The key exchange is classical: your client offered no post-quantum group.</p>"
    };
    page(
        "This connection is TLS 1.3",
        &format!(
            "{verdict}\n<table>\n{cells}</table>\n<p>The same for programs: <a href=\"/json\">/json</a></p>"
        ),
    )
}

/// A page that says what is wrong.
pub(crate) fn refusal(status: u16, reason: &str) -> String {
    page(&format!("{status} {}", escape(reason)), "<p><a href=\"/\">What was negotiated</a></p>")
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n{body}\n<footer>Sealwire {}</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
    )
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #18794e; }
@media (prefers-color-scheme: dark) { :root { --good: #4cc38a; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; padding: 2rem 1rem; }
main { max-width: 46rem; margin: 0 auto; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; }
.good, .note { border-left: .25rem solid var(--line); padding: .25rem .75rem; background: var(--soft); }
.good { border-color: var(--good); color: var(--good); }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; white-space: nowrap; }
td { font-family: ui-monospace, monospace; font-size: .9rem; overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; opacity: .7; }
";

/// Text as HTML, in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chose_cannot_become_markup() {
        let rows = [("Peer's subject", "CN=<script>alert(\"1\")</script>&'".to_owned())];
        let html = negotiated(&rows, true);
        assert!(html.contains("CN=&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"));
        assert!(!html.contains("<script>"));
    }
}
