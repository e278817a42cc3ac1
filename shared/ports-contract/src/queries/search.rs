//! Search over message text: scripts with and without spaces, short words, hostile words.

use engine::Message;
use ports::{Commit, MessageFilter, MessageWrite, Page, PortError};

use super::{all_pages, list_messages, store};
use crate::backend::Backend;
use crate::check::sorted;
use crate::sample::{Samples, at, nth};

const TEXTS: [&str; 16] = [
    "我想要請假三天，從星期一開始",
    "請問有沒有假日的房間？",
    "ホテルを予約したいです",
    "予定を変更してください",
    "I need a reservation for the hotel in Taipei",
    "Reserve a table, please: RESTAURANT \"La Table\"",
    "The taxi is at 9:30 near the station OR the park",
    "加入LINE群組123吧",
    "Ｆｕｌｌ－ｗｉｄｔｈ　ＨＯＴＥＬ　２０２６",
    "ﾎﾃﾙ ﾊﾝｶｸ",
    "see you 😀 tomorrow 🏨",
    "before\0after",
    "100% sure_thing (really) a:b c-d",
    "café crème",
    "서울 호텔 예약",
    "",
];

async fn prepare(backend: &Backend, seed: u64) -> Vec<Message> {
    let make = Samples::new(seed);
    let conversation = make.conversation();
    let messages: Vec<Message> = TEXTS
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let mut message = make.message(&conversation, text);
            message.created_at = nth(number);
            message
        })
        .collect();
    store(backend, &make, &[conversation], &[], &messages).await;
    messages
}

async fn search(backend: &Backend, words: &str) -> Vec<usize> {
    let filter = MessageFilter { q: Some(words.to_owned()), ..MessageFilter::default() };
    let found = list_messages(backend, &filter).await;
    let place = |message: &Message| TEXTS.iter().position(|text| *text == message.content.text);
    sorted(found.iter().filter_map(place))
}

async fn finds(backend: &Backend, expected: &[(&str, &[usize])]) {
    for (words, places) in expected {
        assert_eq!(search(backend, words).await, *places, "{words:?}");
    }
}

/// Chinese words of one to four characters, and no others.
pub async fn chinese_words_are_found(backend: Backend) {
    prepare(&backend, 240).await;
    finds(
        &backend,
        &[
            ("請", &[0, 1]),
            ("假", &[0, 1]),
            ("請假", &[0]),
            ("假日", &[1]),
            ("請假三", &[0]),
            ("請假三天", &[0]),
            ("從星期一", &[0]),
            ("從星期一開始", &[0]),
            // The last character before a mark, and of a text.
            ("天", &[0]),
            ("間", &[1]),
            ("吧", &[7]),
            ("假請", &[]),
            ("請天", &[]),
            ("天三假請", &[]),
            ("狗", &[]),
        ],
    )
    .await;
}

/// Japanese words of one to four characters, in kanji and kana.
pub async fn japanese_words_are_found(backend: Backend) {
    prepare(&backend, 241).await;
    finds(
        &backend,
        &[
            ("予", &[2, 3]),
            ("予約", &[2]),
            ("予定", &[3]),
            ("予約し", &[2]),
            ("予約した", &[2]),
            ("変更", &[3]),
            ("ください", &[3]),
            ("す", &[2]),
            ("い", &[2, 3]),
            ("約予", &[]),
        ],
    )
    .await;
}

/// Words of scripts with spaces, whatever the case, and their beginnings.
pub async fn english_words_and_prefixes_are_found(backend: Backend) {
    prepare(&backend, 242).await;
    finds(
        &backend,
        &[
            ("reservation", &[4]),
            ("RESERVATION", &[4]),
            ("reserv", &[4, 5]),
            ("taipei", &[4]),
            ("tai", &[4]),
            ("ta", &[4, 5, 6]),
            ("restaurant", &[5]),
            ("stationary", &[]),
            ("zebra", &[]),
            ("crème", &[13]),
            ("예약", &[14]),
        ],
    )
    .await;
}

/// Full-width and half-width forms are the same letters.
pub async fn full_width_is_half_width(backend: Backend) {
    prepare(&backend, 243).await;
    finds(
        &backend,
        &[
            ("hotel", &[4, 8]),
            ("ｈｏｔｅｌ", &[4, 8]),
            ("2026", &[8]),
            ("２０２６", &[8]),
            ("ホテル", &[2, 9]),
            ("ﾎﾃﾙ", &[2, 9]),
        ],
    )
    .await;
}

/// Scripts that touch each other, and several words, all of which must be there.
pub async fn mixed_words_are_found(backend: Backend) {
    prepare(&backend, 244).await;
    finds(
        &backend,
        &[
            ("LINE", &[7]),
            ("LINE群組", &[7]),
            ("群組123", &[7]),
            ("群", &[7]),
            ("line 加入", &[7]),
            ("請假 星期一", &[0]),
            ("請假 房間", &[]),
            ("hotel taipei", &[4]),
            ("taipei hotel", &[4]),
            ("hotel zebra", &[]),
        ],
    )
    .await;
}

/// Words of a query language are words; quotes, stars and brackets are no syntax.
pub async fn operators_are_words(backend: Backend) {
    prepare(&backend, 245).await;
    finds(
        &backend,
        &[
            ("station OR park", &[6]),
            ("zebra OR hotel", &[]),
            ("hotel AND zebra", &[]),
            ("hotel NOT taipei", &[]),
            ("NEAR(hotel taipei)", &[]),
            ("near", &[6]),
            ("\"hotel\"", &[4, 8]),
            ("hotel*", &[4, 8]),
            ("^hotel", &[4, 8]),
            ("(hotel)", &[4, 8]),
            ("content:hotel", &[]),
            ("9:30", &[6]),
        ],
    )
    .await;
}

/// Whatever somebody types is an answer, never an error of the query language.
pub async fn no_query_breaks_the_search(backend: Backend) {
    prepare(&backend, 246).await;
    let long = "hotel ".repeat(5_000);
    let queries = [
        "\" OR *",
        "\"",
        "\"\"",
        "\"\"\"",
        "*",
        "**",
        "'",
        "';--",
        "(",
        ")",
        "()",
        "{}",
        "[",
        "^",
        "+",
        "-",
        "--",
        "a -b",
        ":",
        "a:",
        "\\",
        "%",
        "_",
        "OR",
        "AND",
        "NOT",
        "NEAR",
        "NEAR(",
        "NEAR(a, 5)",
        "a OR",
        "OR a",
        "\0",
        "a\0b",
        "before\0after",
        "\u{feff}",
        "\u{200b}",
        "\u{202e}",
        "e\u{301}",
        "👩‍👩‍👧",
        "🇹🇼",
        "\u{10ffff}",
        " ",
        "",
        "\n\t",
        &long,
        "、。！？",
        "ー",
    ];
    for q in queries {
        let filter = MessageFilter { q: Some(q.to_owned()), ..MessageFilter::default() };
        let page = Page { limit: 100, cursor: None };
        match backend.queries.list_messages(&filter, &page).await {
            Ok(_) | Err(PortError::Invalid { .. }) => {}
            Err(other) => panic!("{q:?}: {other:?}"),
        }
        let filter = ports::TaskFilter { q: Some(q.to_owned()), ..Default::default() };
        match backend.queries.list_tasks(&filter, &page).await {
            Ok(_) | Err(PortError::Invalid { .. }) => {}
            Err(other) => panic!("{q:?}: {other:?}"),
        }
    }
    // Afterwards it still works.
    finds(&backend, &[("hotel", &[4, 8])]).await;
}

/// NUL and pictures in a text do not hide its words, and never find another text.
pub async fn words_beside_nul_and_emoji_are_found(backend: Backend) {
    prepare(&backend, 247).await;
    finds(&backend, &[("before", &[11]), ("after", &[11]), ("tomorrow", &[10]), ("sure", &[12])])
        .await;
    for picture in ["😀", "🏨"] {
        let found = search(&backend, picture).await;
        assert!(found.iter().all(|place| *place == 10), "{picture}: {found:?}");
    }
}

/// A message is found by the text it has now.
pub async fn the_search_follows_a_change(backend: Backend) {
    let make = Samples::new(248);
    let conversation = make.conversation();
    let mut message = make.message(&conversation, "the old wording");
    store(&backend, &make, &[], &[], std::slice::from_ref(&message)).await;
    message.content.text = "換成新的說法".into();
    message.revision = 2;
    let write = MessageWrite { message: message.clone(), expected: Some(1) };
    backend.turns.commit(Commit { messages: vec![write], ..make.commit() }).await.unwrap();
    let by = |q: &str| MessageFilter { q: Some(q.into()), ..MessageFilter::default() };
    assert_eq!(list_messages(&backend, &by("wording")).await, []);
    assert_eq!(list_messages(&backend, &by("新的")).await, [message]);
}

/// Words and filters together, in pages.
pub async fn search_and_filters_go_together(backend: Backend) {
    let make = Samples::new(249);
    let conversations = [make.conversation(), make.conversation()];
    let messages: Vec<Message> = (0..40_usize)
        .map(|number| {
            let text = if number % 4 < 2 { "我要請假" } else { "我要訂房" };
            let mut message = make.message(&conversations[number % 2], text);
            message.created_at = nth(number / 5);
            message
        })
        .collect();
    store(&backend, &make, &conversations, &[], &messages).await;
    let filter = MessageFilter {
        q: Some("請假".into()),
        conversation: Some(conversations[1].id.clone()),
        created_before: Some(at(6)),
        ..MessageFilter::default()
    };
    let expected = sorted(
        messages
            .iter()
            .filter(|message| message.content.text == "我要請假")
            .filter(|message| message.conversation == conversations[1].id)
            .filter(|message| message.created_at < at(6))
            .map(|message| message.id.clone()),
    );
    assert!(!expected.is_empty());
    for limit in [1, 3, 100] {
        let found = all_pages(limit, async |page| {
            backend.queries.list_messages(&filter, &page).await.unwrap()
        })
        .await;
        assert_eq!(sorted(found.into_iter().map(|message| message.id)), expected);
    }
}
