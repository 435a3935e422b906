use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::str::FromStr;

use lock_model::escaping::excerpt;

/// An amount of a resource in thousandths: of a CPU, a byte or an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// Text that is not a quantity of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity such as `500m` or `1Gi`")]
pub struct QuantityError(String);

impl Amount {
    /// A whole number of CPUs, bytes or objects.
    pub fn whole(count: i64) -> Self {
        Self(i128::from(count) * 1000)
    }

    /// The amount in thousandths of its unit: of a core, of a byte, of an object.
    pub fn thousandths(self) -> i128 {
        self.0
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Amount {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times.into()))
    }
}

/// Parts of a thousandth are rounded up, as the API server does.
impl FromStr for Amount {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or_else(|| QuantityError(excerpt(text)))
    }
}

fn parse(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end =
        unsigned.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() > 20 || fraction.len() > 12 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (base, exponent): (i128, i32) = match suffix {
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "" => (10, 0),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        "Pi" => (1024, 5),
        "Ei" => (1024, 6),
        _ => (10, suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|exponent: &i32| exponent.abs() <= 18)?),
    };
    let mut over = digits.checked_mul(1000)?;
    let mut under: i128 = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let power = base.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        over = over.checked_mul(power)?;
    } else {
        under = under.checked_mul(power)?;
    }
    let amount = over.checked_add(under - 1)? / under;
    Some(if text.starts_with('-') { -amount } else { amount })
}

/// `500m`, `3`, `1536Mi`: an exact form that Kubernetes reads.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 != 0 {
            return write!(f, "{}m", self.0);
        }
        let whole = self.0 / 1000;
        for (suffix, unit) in [("Ti", 1_i128 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20)] {
            if whole != 0 && whole % unit == 0 {
                return write!(f, "{}{suffix}", whole / unit);
            }
        }
        write!(f, "{whole}")
    }
}
