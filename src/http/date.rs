//! Dates as fields spell them: `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).

/// The length of every IMF-fixdate, in bytes.
pub const DATE_BYTES: usize = 29;

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// 9999-12-31T23:59:59Z: the format has four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

/// The date of a Unix time in seconds; times beyond the year 9999 are given as its end.
pub fn imf_fixdate(unix_seconds: u64) -> [u8; DATE_BYTES] {
    let unix_seconds = unix_seconds.min(LAST_SECOND);
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = civil(days);

    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    date[0..3].copy_from_slice(DAYS[(days % 7) as usize]);
    two_digits(&mut date, 5, day);
    date[8..11].copy_from_slice(MONTHS[month as usize]);
    two_digits(&mut date, 12, year / 100);
    two_digits(&mut date, 14, year % 100);
    two_digits(&mut date, 17, second / 3600);
    two_digits(&mut date, 20, second / 60 % 60);
    two_digits(&mut date, 23, second % 60);
    date
}

fn two_digits(date: &mut [u8; DATE_BYTES], at: usize, n: u64) {
    date[at] = b'0' + (n / 10 % 10) as u8;
    date[at + 1] = b'0' + (n % 10) as u8;
}

/// Year, month (0 is January) and day (from 1) of a day counted from 1970-01-01. Years are taken to start in March, so
/// that the leap day is their last, and eras of 400 years all have the same number of days.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + DAYS_FROM_0000_03_01_TO_1970;
    let (era, day) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 2, day) } else { (year + 1, month - 10, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(unix_seconds: u64) -> String {
        String::from_utf8(imf_fixdate(unix_seconds).to_vec()).unwrap()
    }

    #[test]
    fn known_dates() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn every_day_of_500_years_follows_the_day_before() {
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..500 * 365 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize];
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month == 12 {
                (month, year) = (0, year + 1);
            }
        }
    }
}
