//! Why an answer was refused, in words the person who typed it understands.

use super::AnswerLang;

/// Why an answer was refused. The `Display` form is [`Rejection::message`] in English.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing was typed.
    #[error("Please type an answer.")]
    Empty,
    /// More characters than allowed.
    #[error("That is too long: at most {max} characters, please.")]
    TextTooLong {
        /// Most characters.
        max: u32,
    },
    /// Fewer characters than allowed.
    #[error("That is too short: at least {min} characters, please.")]
    TextTooShort {
        /// Fewest characters.
        min: u32,
    },
    /// The text does not have the form asked for.
    #[error("That does not have the right form. Please check it and try again.")]
    PatternMismatch,
    /// Several readings are possible: `3 or 4`, `三千五`, `3點` with no morning or afternoon.
    #[error("That can be read in more than one way. Please be more exact.")]
    Ambiguous,
    /// No number found.
    #[error("Please enter one number, such as 3.")]
    NotANumber,
    /// A fraction where a whole number is wanted.
    #[error("Please enter a whole number, such as 3.")]
    NotWhole,
    /// Below the smallest number.
    #[error("That is too small: {min} or more, please.")]
    TooSmall {
        /// Smallest number.
        min: String,
    },
    /// Above the largest number.
    #[error("That is too large: {max} or less, please.")]
    TooLarge {
        /// Largest number.
        max: String,
    },
    /// More than a computer integer or float can hold.
    #[error("That number is too large to work with. Please enter a smaller one.")]
    OutOfRange,
    /// Neither yes nor no.
    #[error("Please answer yes or no.")]
    NotABoolean,
    /// No date found.
    #[error("Please enter a date such as 2026-11-30.")]
    NotADate,
    /// A date that the calendar does not have: 30 February, or a weekday that does not fit.
    #[error("There is no such date. Please check the day, month and weekday.")]
    NoSuchDate,
    /// Before the earliest date or time.
    #[error("That is too early: {min} or later, please.")]
    TooEarly {
        /// Earliest date, or date and time in the person's zone.
        min: String,
    },
    /// After the latest date or time.
    #[error("That is too late: {max} or earlier, please.")]
    TooLate {
        /// Latest date, or date and time in the person's zone.
        max: String,
    },
    /// No date and time found.
    #[error("Please enter a date and time such as 2026-11-30 14:30.")]
    NotADateTime,
    /// A date without a time of day.
    #[error("Please add the time of day, such as 2026-11-30 14:30.")]
    MissingTime,
    /// Not an e-mail address.
    #[error("Please enter one e-mail address such as name@example.com.")]
    NotAnEmail,
    /// Not a telephone number.
    #[error("Please enter one phone number, with country code if it is abroad.")]
    NotAPhone,
    /// Fits none of the options.
    #[error("Please choose one of the options, by name or number.")]
    NotAChoice,
    /// Fewer options than asked for.
    #[error("Please choose at least {min}.")]
    TooFewChoices {
        /// Fewest options.
        min: u32,
    },
    /// More options than allowed.
    #[error("Please choose at most {max}.")]
    TooManyChoices {
        /// Most options.
        max: u32,
    },
    /// No attachment came.
    #[error("Please attach a file.")]
    NoFile,
    /// No attachment has an accepted type.
    #[error("Please attach a file of this type: {types}.")]
    FileType {
        /// Accepted types, joined by commas.
        types: String,
    },
    /// Every attachment of an accepted type is too large.
    #[error("That file is too large: at most {}, please.", size(*max_bytes))]
    FileTooLarge {
        /// Largest size.
        max_bytes: u64,
    },
}

impl Rejection {
    /// One short sentence that tells the person what to type instead.
    pub fn message(&self, lang: AnswerLang) -> String {
        match lang {
            AnswerLang::En => self.to_string(),
            AnswerLang::ZhTw => self.in_chinese(),
            AnswerLang::Ja => self.in_japanese(),
        }
    }

    fn in_chinese(&self) -> String {
        match self {
            Self::Empty => "請輸入您的回答。".into(),
            Self::TextTooLong { max } => format!("內容太長了，最多 {max} 個字。"),
            Self::TextTooShort { min } => format!("內容太短了，至少 {min} 個字。"),
            Self::PatternMismatch => "格式不正確，請檢查後再輸入一次。".into(),
            Self::Ambiguous => "這個回答可能有不同的意思，請說得更明確一點。".into(),
            Self::NotANumber => "請輸入一個數字，例如 3。".into(),
            Self::NotWhole => "請輸入整數，例如 3。".into(),
            Self::TooSmall { min } => format!("數字太小了，請輸入 {min} 以上的數字。"),
            Self::TooLarge { max } => format!("數字太大了，請輸入 {max} 以下的數字。"),
            Self::OutOfRange => "這個數字太大，無法處理，請輸入較小的數字。".into(),
            Self::NotABoolean => "請回答「是」或「否」。".into(),
            Self::NotADate => "請輸入日期，例如 2026-11-30。".into(),
            Self::NoSuchDate => "沒有這一天，請確認年月日與星期。".into(),
            Self::TooEarly { min } => format!("時間太早了，請選 {min} 或之後。"),
            Self::TooLate { max } => format!("時間太晚了，請選 {max} 或之前。"),
            Self::NotADateTime => "請輸入日期和時間，例如 2026-11-30 14:30。".into(),
            Self::MissingTime => "請一併輸入時間，例如 2026-11-30 14:30。".into(),
            Self::NotAnEmail => "請輸入一個電子郵件地址，例如 name@example.com。".into(),
            Self::NotAPhone => "請輸入一個電話號碼，國外號碼請加國碼。".into(),
            Self::NotAChoice => "請從選項中選擇，輸入名稱或編號都可以。".into(),
            Self::TooFewChoices { min } => format!("請至少選 {min} 項。"),
            Self::TooManyChoices { max } => format!("最多只能選 {max} 項。"),
            Self::NoFile => "請傳送一個檔案。".into(),
            Self::FileType { types } => format!("請傳送這種類型的檔案：{types}。"),
            Self::FileTooLarge { max_bytes } => {
                format!("檔案太大了，最大 {}。", size(*max_bytes))
            }
        }
    }

    fn in_japanese(&self) -> String {
        match self {
            Self::Empty => "回答を入力してください。".into(),
            Self::TextTooLong { max } => format!("長すぎます。{max}文字以内で入力してください。"),
            Self::TextTooShort { min } => {
                format!("短すぎます。{min}文字以上で入力してください。")
            }
            Self::PatternMismatch => "形式が正しくありません。確認してもう一度どうぞ。".into(),
            Self::Ambiguous => "複数の意味に取れます。もう少し具体的に入力してください。".into(),
            Self::NotANumber => "数字を1つ入力してください（例：3）。".into(),
            Self::NotWhole => "整数で入力してください（例：3）。".into(),
            Self::TooSmall { min } => format!("小さすぎます。{min}以上で入力してください。"),
            Self::TooLarge { max } => format!("大きすぎます。{max}以下で入力してください。"),
            Self::OutOfRange => "数字が大きすぎて扱えません。小さい数字にしてください。".into(),
            Self::NotABoolean => "「はい」か「いいえ」で答えてください。".into(),
            Self::NotADate => "日付を入力してください（例：2026-11-30）。".into(),
            Self::NoSuchDate => "その日付はありません。年月日と曜日を確認してください。".into(),
            Self::TooEarly { min } => format!("早すぎます。{min}以降にしてください。"),
            Self::TooLate { max } => format!("遅すぎます。{max}以前にしてください。"),
            Self::NotADateTime => "日時を入力してください（例：2026-11-30 14:30）。".into(),
            Self::MissingTime => "時刻も入力してください（例：2026-11-30 14:30）。".into(),
            Self::NotAnEmail => {
                "メールアドレスを1つ入力してください（例：name@example.com）。".into()
            }
            Self::NotAPhone => "電話番号を1つ入力してください（海外の番号は国番号から）。".into(),
            Self::NotAChoice => "選択肢から名前か番号で選んでください。".into(),
            Self::TooFewChoices { min } => format!("{min}つ以上選んでください。"),
            Self::TooManyChoices { max } => format!("{max}つまで選べます。"),
            Self::NoFile => "ファイルを送ってください。".into(),
            Self::FileType { types } => format!("次の種類のファイルを送ってください：{types}。"),
            Self::FileTooLarge { max_bytes } => {
                format!("ファイルが大きすぎます。最大{}です。", size(*max_bytes))
            }
        }
    }
}

/// A size people can read; rounds down, so that a file of the shown size is accepted.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * 1024;
    if bytes >= MIB {
        let tenths = bytes / (MIB / 10);
        if tenths.is_multiple_of(10) || tenths >= 1000 {
            format!("{} MB", bytes / MIB)
        } else {
            format!("{}.{} MB", tenths / 10, tenths % 10)
        }
    } else if bytes >= KIB {
        format!("{} KB", bytes / KIB)
    } else {
        format!("{bytes} bytes")
    }
}
