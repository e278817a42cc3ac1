//! E-mail addresses and telephone numbers.

use super::super::Rejection::{NotAPhone, NotAnEmail};
use super::super::{Expected, Region, Rejection};
use super::check;

type Row = (&'static str, Result<&'static str, Rejection>);

#[test]
fn emails() {
    let rows: &[Row] = &[
        ("name@example.com", Ok("name@example.com")),
        ("First.Last+tag@Example.COM", Ok("First.Last+tag@example.com")),
        ("ｎａｍｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", Ok("name@example.com")),
        ("name@example。com", Ok("name@example.com")),
        ("我的信箱是 name@example.com。", Ok("name@example.com")),
        ("我的信箱是name@example.com", Ok("name@example.com")),
        ("My email is name@example.com, thanks", Ok("name@example.com")),
        ("Name <name@example.com>", Ok("name@example.com")),
        ("mailto:name@example.com", Ok("name@example.com")),
        ("o'brien@example.com", Ok("o'brien@example.com")),
        ("'name@example.com'", Ok("name@example.com")),
        ("a@sub.example.co.jp", Ok("a@sub.example.co.jp")),
        ("a@xn--fiqs8s.xn--fiqs8s", Ok("a@xn--fiqs8s.xn--fiqs8s")),
        ("name", Err(NotAnEmail)),
        ("name@", Err(NotAnEmail)),
        ("@example.com", Err(NotAnEmail)),
        ("name@example", Err(NotAnEmail)),
        ("name@@example.com", Err(NotAnEmail)),
        ("na..me@example.com", Err(NotAnEmail)),
        (".name@example.com", Err(NotAnEmail)),
        ("name@-example.com", Err(NotAnEmail)),
        ("name@exam_ple.com", Err(NotAnEmail)),
        ("name@127.0.0.1", Err(NotAnEmail)),
        ("josé@example.com", Err(NotAnEmail)),
        ("王a@example.com", Err(NotAnEmail)),
        ("a@example.com b@example.com", Err(NotAnEmail)),
    ];
    check(&Expected::Email, rows);
    let long = format!("{}@example.com", "a".repeat(65));
    assert_eq!(super::read(&Expected::Email, &long), Err(NotAnEmail));
    let label = "b".repeat(60);
    let long = format!("aaaa@{label}.{label}.{label}.{label}.example");
    assert_eq!(super::read(&Expected::Email, &long), Err(NotAnEmail));
}

#[test]
fn phones_of_taiwan() {
    let rows: &[Row] = &[
        ("0912-345-678", Ok("+886912345678")),
        ("0912345678", Ok("+886912345678")),
        ("０９１２－３４５－６７８", Ok("+886912345678")),
        ("0912 345 678", Ok("+886912345678")),
        ("912345678", Ok("+886912345678")),
        ("(02) 2345-6789", Ok("+886223456789")),
        ("02-2345-6789#123", Ok("+886223456789")),
        ("02-2345-6789 分機 123", Ok("+886223456789")),
        ("02-2345-6789 ext. 123", Ok("+886223456789")),
        ("07-123-4567", Ok("+88671234567")),
        ("+886 912 345 678", Ok("+886912345678")),
        ("+886 (0)912 345 678", Ok("+886912345678")),
        ("+8860912345678", Ok("+886912345678")),
        ("886912345678", Ok("+886912345678")),
        ("002 81 90 1234 5678", Ok("+819012345678")),
        ("+81-90-1234-5678", Ok("+819012345678")),
        ("我的電話是 0912-345-678", Ok("+886912345678")),
        ("091234567", Err(NotAPhone)),
        ("09123456789", Err(NotAPhone)),
        ("12345", Err(NotAPhone)),
        ("0912345678/0922333444", Err(NotAPhone)),
        ("0912345678 or 0922333444", Err(NotAPhone)),
        ("no phone", Err(NotAPhone)),
        ("+", Err(NotAPhone)),
        ("+1234567890123456", Err(NotAPhone)),
    ];
    check(&Expected::Phone { region: Some(Region::Tw) }, rows);
}

#[test]
fn phones_of_other_regions() {
    let rows: &[Row] = &[
        ("090-1234-5678", Ok("+819012345678")),
        ("０９０ー１２３４ー５６７８", Ok("+819012345678")),
        ("03-1234-5678", Ok("+81312345678")),
        ("0120-123-456", Ok("+81120123456")),
        ("010-886-912345678", Ok("+886912345678")),
        ("090-1234-567", Err(NotAPhone)),
    ];
    check(&Expected::Phone { region: Some(Region::Jp) }, rows);
    let rows: &[Row] = &[
        ("(202) 555-0123", Ok("+12025550123")),
        ("1-202-555-0123", Ok("+12025550123")),
        ("202.555.0123 x45", Ok("+12025550123")),
        ("102-555-0123", Err(NotAPhone)),
    ];
    check(&Expected::Phone { region: Some(Region::Us) }, rows);
    let rows: &[Row] = &[
        ("138 0013 8000", Ok("+8613800138000")),
        ("010-12345678", Ok("+861012345678")),
        ("0755-12345678", Ok("+8675512345678")),
        ("1380013800", Err(NotAPhone)),
    ];
    check(&Expected::Phone { region: Some(Region::Cn) }, rows);
    let rows: &[Row] = &[("9123 4567", Ok("+85291234567")), ("0123 4567", Err(NotAPhone))];
    check(&Expected::Phone { region: Some(Region::Hk) }, rows);
}

#[test]
fn phones_without_a_region() {
    let rows: &[Row] = &[
        ("0912-345-678", Ok("0912345678")),
        ("+886912345678", Ok("+886912345678")),
        ("00886912345678", Ok("+886912345678")),
        ("+39 06 1234 5678", Ok("+390612345678")),
        ("1234", Err(NotAPhone)),
    ];
    check(&Expected::Phone { region: None }, rows);
}

#[test]
fn region_codes() {
    assert_eq!(Region::from_code("tw"), Some(Region::Tw));
    assert_eq!(Region::from_code("XX"), None);
    assert_eq!(Region::Jp.code(), "JP");
}
