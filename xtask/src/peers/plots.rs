//! Three plots of the measurements, as SVG.

use super::records::{Measurements, PairRecord};
use super::summary::{self, Summary};
use super::svg::{Anchor, Canvas};

/// File name and content of each.
pub(crate) fn all(found: &Measurements) -> Vec<(&'static str, String)> {
    let summaries = summary::all(found);
    let generation = Scatter {
        title: "Size against generation time",
        x_label: "processor time, seconds per MB of new (median, logarithmic); left is better",
        x: |summary| Some(1.0 / summary.speed.as_ref()?.make_cpu_mb_s),
    };
    let apply = Scatter {
        title: "Size against apply speed",
        x_label: "MB of new per second, wall time (median, logarithmic); right is better",
        x: |summary| Some(summary.speed.as_ref()?.apply_mb_s),
    };
    vec![
        ("sizes.svg", sizes(found, &summaries)),
        ("generation.svg", generation.draw(&summaries)),
        ("apply.svg", apply.draw(&summaries)),
    ]
}

const OURS: [&str; 5] = ["#b2182b", "#ef8a62", "#d6604d", "#762a83", "#fdae61"];
const RIVAL: &str = "#4d7ea8";
const BSDIFF: &str = "#bbbbbb";

/// The colour of the tool's profile among ours.
fn colour(summaries: &[Summary], tool: &str) -> &'static str {
    let mut ours = summaries.iter().filter(|summary| summary.is_ours);
    let place = ours.position(|summary| summary.tool == tool);
    place.map_or(RIVAL, |place| OURS[place % OURS.len()])
}

/// Sizes of the bar chart, in pixels.
const NAME_WIDTH: f64 = 210.0;
const BARS_WIDTH: f64 = 560.0;
const BAR_HEIGHT: f64 = 10.0;
const PAIR_GAP: f64 = 10.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 56.0;
/// Bars that would be longer are cut; their number says how long they are.
const RATIO_SHOWN_MAX: f64 = 2.0;

/// A group of bars per pair: bsdiff and our profiles relative to the best rival.
fn sizes(found: &Measurements, summaries: &[Summary]) -> String {
    let title = "Size of the delta relative to the best rival's, per pair";
    let mut bars: Vec<(&str, &str)> = vec![("bsdiff", BSDIFF)];
    let ours = summaries.iter().filter(|summary| summary.is_ours);
    bars.extend(ours.map(|one| (one.tool.as_str(), colour(summaries, &one.tool))));
    let step = BAR_HEIGHT * bars.len() as f64 + PAIR_GAP;
    let height = TOP + step * found.pairs.len() as f64 + BOTTOM;
    let mut canvas = Canvas::new(NAME_WIDTH + BARS_WIDTH + 60.0, height);
    canvas.text(16.0, 26.0, Anchor::Start, "title", title);
    let note = "1.0 is the smallest exact delta of all rivals on that pair; shorter is better";
    canvas.text(16.0, 44.0, Anchor::Start, "note", note);
    let mut x = 16.0;
    for (name, fill) in &bars {
        canvas.bar((x, 56.0), (10.0, 10.0), fill, name);
        canvas.text(x + 14.0, 65.0, Anchor::Start, "", name);
        x += 34.0 + 7.0 * name.len() as f64;
    }
    ratio_axis(&mut canvas, height);
    for (i, pair) in found.pairs.iter().enumerate() {
        pair_bars(&mut canvas, pair, &bars, TOP + step * i as f64);
    }
    canvas.finish(title)
}

fn ratio_x(ratio: f64) -> f64 {
    NAME_WIDTH + BARS_WIDTH * ratio.min(RATIO_SHOWN_MAX) / RATIO_SHOWN_MAX
}

fn ratio_axis(canvas: &mut Canvas, height: f64) {
    let end = height - BOTTOM + 4.0;
    for quarter in 0..=8 {
        let ratio = f64::from(quarter) / 4.0;
        let x = ratio_x(ratio);
        let class = if quarter == 4 { "one" } else { "grid" };
        canvas.line((x, TOP - 8.0), (x, end), class);
        canvas.text(x, end + 16.0, Anchor::Middle, "", &ratio.to_string());
    }
    canvas.line((NAME_WIDTH, end), (NAME_WIDTH + BARS_WIDTH, end), "axis");
    let middle = NAME_WIDTH + BARS_WIDTH / 2.0;
    canvas.text(middle, end + 38.0, Anchor::Middle, "", "bytes / bytes of the best rival");
}

fn pair_bars(canvas: &mut Canvas, pair: &PairRecord, bars: &[(&str, &str)], top: f64) {
    let middle = top + BAR_HEIGHT * bars.len() as f64 / 2.0 + 4.0;
    canvas.text(NAME_WIDTH - 8.0, middle, Anchor::End, "", &pair.name);
    for (i, (tool, fill)) in bars.iter().enumerate() {
        let Some(ratio) = pair.ratio(tool) else { continue };
        let y = top + BAR_HEIGHT * i as f64;
        let hint = format!("{}, {tool}: {ratio:.3}", pair.name);
        let end = ratio_x(ratio);
        canvas.bar((NAME_WIDTH, y), (end - NAME_WIDTH, BAR_HEIGHT - 1.0), fill, &hint);
        canvas.text(end + 4.0, y + 8.5, Anchor::Start, "small", &format!("{ratio:.2}"));
    }
}

/// Place of the scatter plots' area, in pixels.
const LEFT: f64 = 76.0;
const RIGHT: f64 = 640.0;
const UPPER: f64 = 70.0;
const LOWER: f64 = 500.0;

/// A dot per tool; its mean size is the height.
struct Scatter {
    title: &'static str,
    x_label: &'static str,
    x: fn(&Summary) -> Option<f64>,
}

/// A logarithmic axis from a value to another, over a range of pixels.
struct Axis {
    from: f64,
    to: f64,
    pixels: (f64, f64),
}

impl Axis {
    /// With some room at both ends; none without a positive value.
    fn around(values: &[f64], pixels: (f64, f64)) -> Option<Self> {
        let values = || values.iter().copied().filter(|value| *value > 0.0);
        let from = values().min_by(f64::total_cmp)?;
        let to = values().max_by(f64::total_cmp)?;
        Some(Self { from: from / 1.3, to: to * 1.3, pixels })
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value / self.from).ln() / (self.to / self.from).ln();
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Round numbers, the same in every power of ten.
    fn ticks(&self) -> Vec<f64> {
        let powers = (-6..9).map(|exponent| 10f64.powi(exponent));
        let ticks =
            powers.flat_map(|power| [1.0, 1.5, 2.0, 3.0, 5.0, 7.0].map(|step| step * power));
        ticks.filter(|tick| (self.from..=self.to).contains(tick)).collect()
    }
}

impl Scatter {
    fn draw(&self, summaries: &[Summary]) -> String {
        let mut canvas = Canvas::new(880.0, 570.0);
        canvas.text(16.0, 26.0, Anchor::Start, "title", self.title);
        let note = "height: size relative to the best rival of each pair, geometric mean, lower is \
                    better; tools that can take every pair";
        canvas.text(16.0, 44.0, Anchor::Start, "note", note);
        // A mean over other pairs cannot be compared with the rest.
        let run_count = summaries.iter().map(|summary| summary.run_count).max();
        let is_comparable = |summary: &&Summary| Some(summary.run_count) == run_count;
        let point = |summary: &Summary| Some(((self.x)(summary)?, summary.ratio?));
        let dots: Vec<(&Summary, (f64, f64))> = summaries
            .iter()
            .filter(is_comparable)
            .filter_map(|summary| Some((summary, point(summary)?)))
            .collect();
        let xs: Vec<f64> = dots.iter().map(|(_, (x, _))| *x).collect();
        let ys: Vec<f64> = dots.iter().map(|(_, (_, y))| *y).collect();
        let axes = Axis::around(&xs, (LEFT, RIGHT)).zip(Axis::around(&ys, (LOWER, UPPER)));
        let Some((x_axis, y_axis)) = axes else { return canvas.finish(self.title) };
        self.grid(&mut canvas, &x_axis, &y_axis);
        // Ours come first in the legend, and last on the paper.
        for (i, (summary, (x, y))) in dots.iter().enumerate().rev() {
            let at = (x_axis.at(*x), y_axis.at(*y));
            let fill = colour(summaries, &summary.tool);
            let number = (i + 1).to_string();
            let hint = format!("{}: {y:.3} at {x:.3}", summary.tool);
            canvas.dot(at, 9.0, fill, &hint);
            canvas.text(at.0, at.1 + 3.5, Anchor::Middle, "in", &number);
            let line = UPPER + 10.0 + 22.0 * i as f64;
            canvas.dot((RIGHT + 28.0, line), 9.0, fill, &hint);
            canvas.text(RIGHT + 28.0, line + 3.5, Anchor::Middle, "in", &number);
            let name = if summary.is_ours { "fwdelta, " } else { "" };
            let name = format!("{name}{}", summary.tool);
            canvas.text(RIGHT + 44.0, line + 4.0, Anchor::Start, "", &name);
        }
        canvas.finish(self.title)
    }

    fn grid(&self, canvas: &mut Canvas, x_axis: &Axis, y_axis: &Axis) {
        for tick in x_axis.ticks() {
            let x = x_axis.at(tick);
            canvas.line((x, UPPER), (x, LOWER), "grid");
            canvas.text(x, LOWER + 18.0, Anchor::Middle, "", &tick_name(tick));
        }
        for tick in y_axis.ticks() {
            let y = y_axis.at(tick);
            let class = if tick == 1.0 { "one" } else { "grid" };
            canvas.line((LEFT, y), (RIGHT, y), class);
            canvas.text(LEFT - 6.0, y + 4.0, Anchor::End, "", &tick_name(tick));
        }
        canvas.line((LEFT, LOWER), (RIGHT, LOWER), "axis");
        canvas.line((LEFT, UPPER), (LEFT, LOWER), "axis");
        canvas.text((LEFT + RIGHT) / 2.0, LOWER + 42.0, Anchor::Middle, "", self.x_label);
        let label = "bytes / bytes of the best rival (logarithmic)";
        canvas.text_up(22.0, (UPPER + LOWER) / 2.0, label);
    }
}

/// Powers of ten are not exact; six digits hide that.
fn tick_name(tick: f64) -> String {
    let text = format!("{tick:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::sample;
    use super::*;

    #[test]
    fn every_plot_has_title_axes_legend_and_data() {
        for (name, svg) in all(&sample()) {
            assert!(name.ends_with(".svg") && svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            let parts = ["class=\"title\"", "class=\"axis\"", "best rival", ">small", "bsdiff"];
            for part in parts {
                assert!(svg.contains(part) || svg.contains("fwdelta, small"), "{part} in {name}");
            }
        }
        assert_eq!(all(&Measurements::default()).len(), 3, "nothing measured is drawn empty");
    }

    #[test]
    fn a_logarithmic_axis_has_round_ticks() {
        let axis = Axis::around(&[0.1, 10.0], (0.0, 100.0)).unwrap();
        assert!((axis.at(1.0) - 50.0).abs() < 1e-9);
        let names: Vec<_> = axis.ticks().into_iter().map(tick_name).collect();
        assert_eq!(
            names,
            ["0.1", "0.15", "0.2", "0.3", "0.5", "0.7", "1", "1.5", "2", "3", "5", "7", "10"]
        );
        assert!(Axis::around(&[0.0], (0.0, 1.0)).is_none());
    }

    #[test]
    fn long_bars_are_cut() {
        assert_eq!(ratio_x(9.0), NAME_WIDTH + BARS_WIDTH);
        assert_eq!(ratio_x(0.0), NAME_WIDTH);
    }
}
