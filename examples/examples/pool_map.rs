//! A picture of the Mandelbrot set, each row computed by whichever worker is free. It says where the picture is.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::time::Instant;

use multiprocess::Pool;
use serde::{Deserialize, Serialize};

/// A part of the plane, and how large its picture is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct View {
    left: f64,
    top: f64,
    width: f64,
    columns: u32,
    rows: u32,
}

/// How often a point may be mapped before it counts as one of the set.
const ROUNDS_MAX: u32 = 2000;

/// The colours of one row, three bytes for each point. It is a task: what it needs comes as its argument.
fn row((view, row): (View, u32)) -> Vec<u8> {
    let step = view.width / f64::from(view.columns);
    let y = view.top - f64::from(row) * step;
    (0..view.columns).flat_map(|column| colour(rounds(view.left + f64::from(column) * step, y))).collect()
}

/// How often the point is mapped before it is far away; `None` if it stays.
fn rounds(x: f64, y: f64) -> Option<f64> {
    let (mut re, mut im) = (0.0, 0.0);
    for round in 0..ROUNDS_MAX {
        (re, im) = (re * re - im * im + x, 2.0 * re * im + y);
        let distance = re * re + im * im;
        if distance > 256.0 {
            // Between two rounds, so that colours change without steps.
            return Some(f64::from(round) + 1.0 - (distance.ln() / 2.0).log2());
        }
    }
    None
}

fn colour(rounds: Option<f64>) -> [u8; 3] {
    let Some(rounds) = rounds else { return [0, 0, 0] };
    let wave = |shift: f64| (127.5 + 127.5 * (0.35 * rounds.max(0.0).sqrt() * 2.0 + shift).sin()) as u8;
    [wave(-1.2), wave(-0.6), wave(0.4)]
}

fn main() -> Result<(), Box<dyn Error>> {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let columns = if is_quick { 240 } else { 1920 };
    let view = View { left: -0.7485, top: 0.1175, width: 0.012, columns, rows: columns * 9 / 16 };
    let path = std::env::temp_dir().join(format!("mandelbrot-{}.png", std::process::id()));

    let pool = Pool::builder().name("painter").build()?;
    let start = Instant::now();
    let mut picture = Vec::new();
    // The bar is drawn on a terminal, and nowhere else.
    for row in pool.tasks().progress().imap(row, (0..view.rows).map(|row| (view, row))) {
        picture.extend(row?);
    }
    eprintln!("painted in {:.2} s", start.elapsed().as_secs_f64());
    pool.join()?;

    let mut encoder = png::Encoder::new(BufWriter::new(File::create(&path)?), view.columns, view.rows);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&picture)?;

    let black = picture.chunks(3).filter(|colour| *colour == [0, 0, 0]).count();
    println!("{} x {} points, {black} of them in the set", view.columns, view.rows);
    println!("the picture is {}", path.display());
    if is_quick {
        std::fs::remove_file(&path)?;
    }
    Ok(())
}
