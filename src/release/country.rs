//! Countries: mobile country codes, telephone country codes, languages.
//!
//! Sources: mobile country codes as assigned in ITU-T E.212 (annex to the ITU Operational
//! Bulletin), country codes as assigned in ITU-T E.164 (same place; area codes where countries
//! share the code 1, 7 or 262, by the numbering plans' administrators), and the official languages
//! of the country in the order of their use, as BCP 47 languages (ISO 639), with a script where
//! two are in use. Codes for ships, aircraft and worldwide networks name no country and are absent.

/// One country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 alpha-2 code.
    pub iso: &'static str,
    /// Mobile country codes.
    pub mccs: &'static [u16],
    /// Telephone country codes, longer where countries share one.
    pub codes: &'static [&'static str],
    /// Languages, most used first.
    pub languages: &'static [&'static str],
}

const fn row(
    iso: &'static str,
    mccs: &'static [u16],
    codes: &'static [&'static str],
    languages: &'static [&'static str],
) -> Country {
    Country { iso, mccs, codes, languages }
}

/// The country of a mobile country code.
#[must_use]
pub fn by_mcc(mcc: u16) -> Option<&'static Country> {
    COUNTRIES.iter().find(|country| country.mccs.contains(&mcc))
}

/// The country of a telephone number in international format, digits only, by its longest known
/// prefix, and that prefix.
#[must_use]
pub fn by_number(digits: &str) -> Option<(&'static Country, &'static str)> {
    let codes =
        COUNTRIES.iter().flat_map(|country| country.codes.iter().map(move |c| (country, *c)));
    codes.filter(|(_, code)| digits.starts_with(code)).max_by_key(|(_, code)| code.len())
}

/// All countries known here.
#[rustfmt::skip]
pub const COUNTRIES: &[Country] = &[
    // Europe.
    row("GR", &[202], &["30"], &["el"]),
    row("NL", &[204], &["31"], &["nl"]),
    row("BE", &[206], &["32"], &["nl", "fr", "de"]),
    row("FR", &[208], &["33"], &["fr"]),
    row("MC", &[212], &["377"], &["fr"]),
    row("AD", &[213], &["376"], &["ca", "es", "fr"]),
    row("ES", &[214], &["34"], &["es"]),
    row("HU", &[216], &["36"], &["hu"]),
    row("BA", &[218], &["387"], &["bs", "hr", "sr"]),
    row("HR", &[219], &["385"], &["hr"]),
    row("RS", &[220], &["381"], &["sr"]),
    row("XK", &[221], &["383"], &["sq", "sr"]),
    row("IT", &[222], &["39"], &["it"]),
    row("VA", &[225], &["379", "3906698"], &["it"]),
    row("RO", &[226], &["40"], &["ro"]),
    row("CH", &[228], &["41"], &["de", "fr", "it"]),
    row("CZ", &[230], &["420"], &["cs"]),
    row("SK", &[231], &["421"], &["sk"]),
    row("AT", &[232], &["43"], &["de"]),
    row("GB", &[234, 235], &["44"], &["en"]),
    row("DK", &[238], &["45"], &["da"]),
    row("SE", &[240], &["46"], &["sv"]),
    row("NO", &[242], &["47"], &["nb", "no", "nn"]),
    row("FI", &[244], &["358"], &["fi", "sv"]),
    row("LT", &[246], &["370"], &["lt"]),
    row("LV", &[247], &["371"], &["lv"]),
    row("EE", &[248], &["372"], &["et"]),
    row("RU", &[250], &["7"], &["ru"]),
    row("UA", &[255], &["380"], &["uk"]),
    row("BY", &[257], &["375"], &["be", "ru"]),
    row("MD", &[259], &["373"], &["ro"]),
    row("PL", &[260], &["48"], &["pl"]),
    row("DE", &[262], &["49"], &["de"]),
    row("GI", &[266], &["350"], &["en"]),
    row("PT", &[268], &["351"], &["pt"]),
    row("LU", &[270], &["352"], &["lb", "fr", "de"]),
    row("IE", &[272], &["353"], &["en", "ga"]),
    row("IS", &[274], &["354"], &["is"]),
    row("AL", &[276], &["355"], &["sq"]),
    row("MT", &[278], &["356"], &["mt", "en"]),
    row("CY", &[280], &["357"], &["el", "tr"]),
    row("GE", &[282], &["995"], &["ka"]),
    row("AM", &[283], &["374"], &["hy"]),
    row("BG", &[284], &["359"], &["bg"]),
    row("TR", &[286], &["90"], &["tr"]),
    row("FO", &[288], &["298"], &["fo", "da"]),
    row("GL", &[290], &["299"], &["kl", "da"]),
    row("SM", &[292], &["378"], &["it"]),
    row("SI", &[293], &["386"], &["sl"]),
    row("MK", &[294], &["389"], &["mk", "sq"]),
    row("LI", &[295], &["423"], &["de"]),
    row("ME", &[297], &["382"], &["sr"]),
    // North America and the Caribbean; +1 without a more specific code counts as the United States.
    row("US", &[310, 311, 312, 313, 314, 315, 316], &["1"], &["en"]),
    row("CA", &[302], &[], &["en", "fr"]),
    row("PM", &[308], &["508"], &["fr"]),
    row("PR", &[330], &["1787", "1939"], &["es", "en"]),
    row("VI", &[332], &["1340"], &["en"]),
    row("MX", &[334], &["52"], &["es"]),
    row("JM", &[338], &["1876", "1658"], &["en"]),
    row("GP", &[340], &["590"], &["fr"]),
    row("MQ", &[], &["596"], &["fr"]),
    row("BB", &[342], &["1246"], &["en"]),
    row("AG", &[344], &["1268"], &["en"]),
    row("KY", &[346], &["1345"], &["en"]),
    row("VG", &[348], &["1284"], &["en"]),
    row("BM", &[350], &["1441"], &["en"]),
    row("GD", &[352], &["1473"], &["en"]),
    row("MS", &[354], &["1664"], &["en"]),
    row("KN", &[356], &["1869"], &["en"]),
    row("LC", &[358], &["1758"], &["en"]),
    row("VC", &[360], &["1784"], &["en"]),
    row("CW", &[362], &["599"], &["nl"]),
    row("AW", &[363], &["297"], &["nl"]),
    row("SX", &[], &["1721"], &["nl", "en"]),
    row("BS", &[364], &["1242"], &["en"]),
    row("AI", &[365], &["1264"], &["en"]),
    row("DM", &[366], &["1767"], &["en"]),
    row("CU", &[368], &["53"], &["es"]),
    row("DO", &[370], &["1809", "1829", "1849"], &["es"]),
    row("HT", &[372], &["509"], &["ht", "fr"]),
    row("TT", &[374], &["1868"], &["en"]),
    row("TC", &[376], &["1649"], &["en"]),
    // Asia.
    row("AZ", &[400], &["994"], &["az"]),
    row("KZ", &[401], &["76", "77"], &["kk", "ru"]),
    row("BT", &[402], &["975"], &["dz"]),
    row("IN", &[404, 405, 406], &["91"], &["hi", "en"]),
    row("PK", &[410], &["92"], &["ur", "en"]),
    row("AF", &[412], &["93"], &["ps", "fa"]),
    row("LK", &[413], &["94"], &["si", "ta"]),
    row("MM", &[414], &["95"], &["my"]),
    row("LB", &[415], &["961"], &["ar"]),
    row("JO", &[416], &["962"], &["ar"]),
    row("SY", &[417], &["963"], &["ar"]),
    row("IQ", &[418], &["964"], &["ar", "ku"]),
    row("KW", &[419], &["965"], &["ar"]),
    row("SA", &[420], &["966"], &["ar"]),
    row("YE", &[421], &["967"], &["ar"]),
    row("OM", &[422], &["968"], &["ar"]),
    row("AE", &[424, 430, 431], &["971"], &["ar"]),
    row("IL", &[425], &["972"], &["he", "ar"]),
    row("PS", &[], &["970"], &["ar"]),
    row("BH", &[426], &["973"], &["ar"]),
    row("QA", &[427], &["974"], &["ar"]),
    row("MN", &[428], &["976"], &["mn"]),
    row("NP", &[429], &["977"], &["ne"]),
    row("IR", &[432], &["98"], &["fa"]),
    row("UZ", &[434], &["998"], &["uz"]),
    row("TJ", &[436], &["992"], &["tg"]),
    row("KG", &[437], &["996"], &["ky", "ru"]),
    row("TM", &[438], &["993"], &["tk"]),
    row("JP", &[440, 441], &["81"], &["ja"]),
    row("KR", &[450], &["82"], &["ko"]),
    row("VN", &[452], &["84"], &["vi"]),
    row("HK", &[454], &["852"], &["zh-Hant", "en"]),
    row("MO", &[455], &["853"], &["zh-Hant", "pt"]),
    row("KH", &[456], &["855"], &["km"]),
    row("LA", &[457], &["856"], &["lo"]),
    row("CN", &[460, 461], &["86"], &["zh-Hans"]),
    row("TW", &[466], &["886"], &["zh-Hant"]),
    row("KP", &[467], &["850"], &["ko"]),
    row("BD", &[470], &["880"], &["bn"]),
    row("MV", &[472], &["960"], &["dv"]),
    row("MY", &[502], &["60"], &["ms"]),
    row("ID", &[510], &["62"], &["id"]),
    row("TL", &[514], &["670"], &["tet", "pt"]),
    row("PH", &[515], &["63"], &["fil", "en"]),
    row("TH", &[520], &["66"], &["th"]),
    row("SG", &[525], &["65"], &["en", "zh-Hans", "ms", "ta"]),
    row("BN", &[528], &["673"], &["ms"]),
    // Oceania.
    row("AU", &[505], &["61"], &["en"]),
    row("NZ", &[530], &["64"], &["en", "mi"]),
    row("GU", &[], &["1671"], &["en"]),
    row("MP", &[], &["1670"], &["en"]),
    row("NR", &[536], &["674"], &["en"]),
    row("PG", &[537], &["675"], &["en"]),
    row("TO", &[539], &["676"], &["to", "en"]),
    row("SB", &[540], &["677"], &["en"]),
    row("VU", &[541], &["678"], &["bi", "en", "fr"]),
    row("FJ", &[542], &["679"], &["en", "fj"]),
    row("WF", &[543], &["681"], &["fr"]),
    row("AS", &[544], &["1684"], &["en", "sm"]),
    row("KI", &[545], &["686"], &["en"]),
    row("NC", &[546], &["687"], &["fr"]),
    row("PF", &[547], &["689"], &["fr"]),
    row("CK", &[548], &["682"], &["en"]),
    row("WS", &[549], &["685"], &["sm", "en"]),
    row("FM", &[550], &["691"], &["en"]),
    row("MH", &[551], &["692"], &["mh", "en"]),
    row("PW", &[552], &["680"], &["en"]),
    row("TV", &[553], &["688"], &["en"]),
    row("TK", &[554], &["690"], &["en"]),
    row("NU", &[555], &["683"], &["en"]),
    // Africa.
    row("EG", &[602], &["20"], &["ar"]),
    row("DZ", &[603], &["213"], &["ar", "fr"]),
    row("MA", &[604], &["212"], &["ar", "fr"]),
    row("TN", &[605], &["216"], &["ar", "fr"]),
    row("LY", &[606], &["218"], &["ar"]),
    row("GM", &[607], &["220"], &["en"]),
    row("SN", &[608], &["221"], &["fr"]),
    row("MR", &[609], &["222"], &["ar", "fr"]),
    row("ML", &[610], &["223"], &["fr"]),
    row("GN", &[611], &["224"], &["fr"]),
    row("CI", &[612], &["225"], &["fr"]),
    row("BF", &[613], &["226"], &["fr"]),
    row("NE", &[614], &["227"], &["fr"]),
    row("TG", &[615], &["228"], &["fr"]),
    row("BJ", &[616], &["229"], &["fr"]),
    row("MU", &[617], &["230"], &["en", "fr"]),
    row("LR", &[618], &["231"], &["en"]),
    row("SL", &[619], &["232"], &["en"]),
    row("GH", &[620], &["233"], &["en"]),
    row("NG", &[621], &["234"], &["en"]),
    row("TD", &[622], &["235"], &["fr", "ar"]),
    row("CF", &[623], &["236"], &["fr"]),
    row("CM", &[624], &["237"], &["fr", "en"]),
    row("CV", &[625], &["238"], &["pt"]),
    row("ST", &[626], &["239"], &["pt"]),
    row("GQ", &[627], &["240"], &["es"]),
    row("GA", &[628], &["241"], &["fr"]),
    row("CG", &[629], &["242"], &["fr"]),
    row("CD", &[630], &["243"], &["fr"]),
    row("AO", &[631], &["244"], &["pt"]),
    row("GW", &[632], &["245"], &["pt"]),
    row("SC", &[633], &["248"], &["en", "fr"]),
    row("SD", &[634], &["249"], &["ar", "en"]),
    row("RW", &[635], &["250"], &["rw", "en", "fr"]),
    row("ET", &[636], &["251"], &["am"]),
    row("SO", &[637], &["252"], &["so", "ar"]),
    row("DJ", &[638], &["253"], &["fr", "ar"]),
    row("KE", &[639], &["254"], &["sw", "en"]),
    row("TZ", &[640], &["255"], &["sw", "en"]),
    row("UG", &[641], &["256"], &["en", "sw"]),
    row("BI", &[642], &["257"], &["rn", "fr"]),
    row("MZ", &[643], &["258"], &["pt"]),
    row("ZM", &[645], &["260"], &["en"]),
    row("MG", &[646], &["261"], &["mg", "fr"]),
    row("RE", &[647], &["262"], &["fr"]),
    row("YT", &[], &["262269", "262639"], &["fr"]),
    row("ZW", &[648], &["263"], &["en"]),
    row("NA", &[649], &["264"], &["en"]),
    row("MW", &[650], &["265"], &["en"]),
    row("LS", &[651], &["266"], &["st", "en"]),
    row("BW", &[652], &["267"], &["en"]),
    row("SZ", &[653], &["268"], &["en"]),
    row("KM", &[654], &["269"], &["ar", "fr"]),
    row("ZA", &[655], &["27"], &["en", "af", "zu", "xh"]),
    row("ER", &[657], &["291"], &["ti", "ar", "en"]),
    row("SH", &[658], &["290"], &["en"]),
    row("SS", &[659], &["211"], &["en"]),
    // Central and South America.
    row("BZ", &[702], &["501"], &["en"]),
    row("GT", &[704], &["502"], &["es"]),
    row("SV", &[706], &["503"], &["es"]),
    row("HN", &[708], &["504"], &["es"]),
    row("NI", &[710], &["505"], &["es"]),
    row("CR", &[712], &["506"], &["es"]),
    row("PA", &[714], &["507"], &["es"]),
    row("PE", &[716], &["51"], &["es"]),
    row("AR", &[722], &["54"], &["es"]),
    row("BR", &[724], &["55"], &["pt"]),
    row("CL", &[730], &["56"], &["es"]),
    row("CO", &[732], &["57"], &["es"]),
    row("VE", &[734], &["58"], &["es"]),
    row("BO", &[736], &["591"], &["es"]),
    row("GY", &[738], &["592"], &["en"]),
    row("EC", &[740], &["593"], &["es"]),
    row("GF", &[742], &["594"], &["fr"]),
    row("PY", &[744], &["595"], &["es", "gn"]),
    row("SR", &[746], &["597"], &["nl"]),
    row("UY", &[748], &["598"], &["es"]),
    row("FK", &[750], &["500"], &["en"]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::release::tag::Tag;

    #[test]
    fn every_row_is_well_formed_and_no_code_is_used_twice() {
        let (mut isos, mut mccs, mut codes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for country in COUNTRIES {
            assert!(isos.insert(country.iso), "{}", country.iso);
            for mcc in country.mccs {
                assert!((200..800).contains(mcc) && mccs.insert(*mcc), "{mcc}");
            }
            for code in country.codes {
                assert!(code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
                assert!(matches!(code.len(), 1..=7) && codes.insert(*code), "{code}");
            }
            assert!(!country.languages.is_empty(), "{}", country.iso);
            for language in country.languages {
                let tag = format!("{language}-{}", country.iso);
                assert_eq!(Tag::new(&tag).unwrap().as_str(), tag);
            }
        }
        assert!(COUNTRIES.len() >= 200, "{}", COUNTRIES.len());
    }

    #[test]
    fn the_longest_prefix_wins() {
        for (digits, iso) in [
            ("4915112345678", "DE"),
            ("43660123456", "AT"),
            ("12125550100", "US"),
            ("18095550100", "DO"),
            ("17875550100", "PR"),
            ("79161234567", "RU"),
            ("77011234567", "KZ"),
            ("262692123456", "RE"),
            ("262639123456", "YT"),
            ("390669812345", "VA"),
            ("8613812345678", "CN"),
            ("886912345678", "TW"),
        ] {
            assert_eq!(by_number(digits).map(|(country, _)| country.iso), Some(iso), "{digits}");
        }
        assert_eq!(by_number("0"), None);
        assert_eq!(by_number(""), None);
        assert_eq!(by_mcc(262).map(|country| country.iso), Some("DE"));
        assert_eq!(by_mcc(901), None);
    }
}
