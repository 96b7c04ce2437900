//! As much of SVG as the plots need: text, lines, bars and dots.

use std::fmt::Write;

/// Text a browser would take for markup is written so that it is shown as it is.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in XML in any form.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Where a text's position is.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Grows by what is drawn; later shapes lie on top.
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    /// In pixels, from the top left.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}\
             </text>"
        ));
    }

    /// Reads from bottom to top around its middle.
    pub(crate) fn text_up(&mut self, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        self.push(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">\
             {text}</text>"
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// `hint` is shown when the pointer rests on the bar.
    pub(crate) fn bar(&mut self, at: (f64, f64), size: (f64, f64), fill: &str, hint: &str) {
        let hint = escaped(hint);
        self.push(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\">\
             <title>{hint}</title></rect>",
            at.0, at.1, size.0, size.1
        ));
    }

    pub(crate) fn dot(&mut self, at: (f64, f64), radius: f64, fill: &str, hint: &str) {
        let hint = escaped(hint);
        self.push(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"{fill}\">\
             <title>{hint}</title></circle>",
            at.0, at.1
        ));
    }

    /// The whole file. White behind it: pages may be dark.
    pub(crate) fn finish(self, title: &str) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n\
             <style>text {{ font: 12px sans-serif; fill: #222 }} .title {{ font-size: 16px; \
             font-weight: bold }} .note {{ font-size: 11px; fill: #666 }} \
             circle {{ stroke: #fff }} .small {{ font-size: 10px; fill: #666 }} \
             .in {{ font-size: 10px; \
             fill: #fff; font-weight: bold }} .grid {{ stroke: #e4e4e4 }} .axis {{ stroke: #444 }} \
             .one {{ stroke: #444; stroke-dasharray: 4 3 }}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(escaped("ü\u{0}\n"), "ü\u{fffd}\u{fffd}");
        let mut canvas = Canvas::new(10.0, 20.0);
        canvas.text(1.0, 2.0, Anchor::Middle, "note", "<script>");
        canvas.bar((0.0, 0.0), (1.0, 1.0), "#000", "a&b");
        let svg = canvas.finish("x<y");
        assert!(
            svg.contains("x&lt;y") && svg.contains("&lt;script&gt;") && svg.contains("a&amp;b")
        );
        assert!(!svg.contains("<script>"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
