//! Countries, as far as telephone numbers need them.

/// The country that a number typed without a country code belongs to. Named by ISO 3166 codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// Taiwan.
    Tw,
    /// Japan.
    Jp,
    /// United States.
    Us,
    /// China.
    Cn,
    /// Canada.
    Ca,
    /// Hong Kong.
    Hk,
    /// Macau.
    Mo,
    /// Singapore.
    Sg,
    /// South Korea.
    Kr,
    /// Malaysia.
    My,
    /// Thailand.
    Th,
    /// Vietnam.
    Vn,
    /// Philippines.
    Ph,
    /// Indonesia.
    Id,
    /// India.
    In,
    /// Australia.
    Au,
    /// United Kingdom.
    Gb,
    /// Germany.
    De,
    /// France.
    Fr,
}

/// Code, country code, trunk prefix, international prefix, digits of a national number.
type Row = (Region, &'static str, &'static str, &'static str, &'static str, (usize, usize));

/// Source: ITU-T E.164 national numbering plans. Canada shares the plan of the United States.
const PLANS: &[Row] = &[
    (Region::Tw, "TW", "886", "0", "002", (8, 9)),
    (Region::Jp, "JP", "81", "0", "010", (9, 10)),
    (Region::Us, "US", "1", "1", "011", (10, 10)),
    (Region::Cn, "CN", "86", "0", "00", (9, 11)),
    (Region::Ca, "CA", "1", "1", "011", (10, 10)),
    (Region::Hk, "HK", "852", "", "001", (8, 8)),
    (Region::Mo, "MO", "853", "", "00", (8, 8)),
    (Region::Sg, "SG", "65", "", "001", (8, 8)),
    (Region::Kr, "KR", "82", "0", "00", (8, 10)),
    (Region::My, "MY", "60", "0", "00", (8, 10)),
    (Region::Th, "TH", "66", "0", "001", (8, 9)),
    (Region::Vn, "VN", "84", "0", "00", (9, 10)),
    (Region::Ph, "PH", "63", "0", "00", (8, 10)),
    (Region::Id, "ID", "62", "0", "001", (7, 12)),
    (Region::In, "IN", "91", "0", "00", (10, 10)),
    (Region::Au, "AU", "61", "0", "0011", (9, 9)),
    (Region::Gb, "GB", "44", "0", "00", (9, 10)),
    (Region::De, "DE", "49", "0", "00", (6, 13)),
    (Region::Fr, "FR", "33", "0", "00", (9, 9)),
];

impl Region {
    /// The region of an ISO 3166 code such as `TW`, in either case.
    pub fn from_code(code: &str) -> Option<Self> {
        PLANS.iter().find(|plan| plan.1.eq_ignore_ascii_case(code)).map(|plan| plan.0)
    }

    /// The ISO 3166 code.
    pub fn code(self) -> &'static str {
        self.plan().map_or("", |plan| plan.1)
    }

    /// The country code, such as `886`.
    pub(super) fn country_code(self) -> &'static str {
        self.plan().map_or("", |plan| plan.2)
    }

    /// What is dialled before a national number, empty if nothing.
    pub(super) fn trunk_prefix(self) -> &'static str {
        self.plan().map_or("", |plan| plan.3)
    }

    /// What is dialled for `+`.
    pub(super) fn international_prefix(self) -> &'static str {
        self.plan().map_or("", |plan| plan.4)
    }

    /// The region whose country code `digits` start with, and the rest.
    pub(super) fn of_international(digits: &str) -> Option<(Self, &str)> {
        PLANS.iter().find_map(|plan| Some((plan.0, digits.strip_prefix(plan.2)?)))
    }

    /// Whether `number`, without country code and trunk prefix, can exist.
    pub(super) fn is_national(self, number: &str) -> bool {
        let Some((_, _, _, _, _, (min, max))) = self.plan() else { return false };
        let length = number.len();
        if !(*min..=*max).contains(&length) || number.starts_with('0') {
            return false;
        }
        let digit = |index: usize| number.as_bytes().get(index).copied().unwrap_or(b'0');
        match self {
            Self::Tw => (digit(0) == b'9') <= (length == 9) && digit(0) != b'1',
            Self::Jp => {
                // Mobile, IP and 0800 numbers have one digit more.
                let is_long = matches!(digit(0), b'2' | b'5'..=b'9') && digit(1) == b'0';
                is_long == (length == 10)
            }
            Self::Us | Self::Ca => digit(0) >= b'2' && digit(3) >= b'2',
            Self::Cn => {
                let is_mobile = digit(0) == b'1' && digit(1) >= b'3';
                let is_beijing = digit(0) == b'1' && digit(1) == b'0';
                (!is_mobile || length == 11)
                    && (!is_beijing || length == 10)
                    && (digit(0) != b'1' || is_mobile || is_beijing)
            }
            Self::Hk | Self::Mo | Self::Sg => digit(0) >= b'2',
            Self::Kr
            | Self::My
            | Self::Th
            | Self::Vn
            | Self::Ph
            | Self::Id
            | Self::In
            | Self::Au
            | Self::Gb
            | Self::De
            | Self::Fr => true,
        }
    }

    fn plan(self) -> Option<&'static Row> {
        PLANS.iter().find(|plan| plan.0 == self)
    }
}
