"""The manual pages and the word lists of each language: packages of Debian 12, and their digests."""

PAGES = {
    "Czech": (
        (
            "pool/main/m/manpages-l10n/manpages-cs_4.18.1-1_all.deb",
            "2c3c32887089fe16b173073cbd72fd5f000911f1b9b8f384f3f46e01fce39791",
        ),
    ),
    "Danish": (
        (
            "pool/main/m/manpages-l10n/manpages-da_4.18.1-1_all.deb",
            "977b0dee2ab0d0315cc8f0864dd1c89473ece240033e1651a1c23a62e66afff4",
        ),
    ),
    "German": (
        (
            "pool/main/m/manpages-l10n/manpages-de_4.18.1-1_all.deb",
            "37d2e7ee51f22952aecec3af93647ff59194a3c74bb7a694560f49c7f7ab3978",
        ),
    ),
    "English": (
        (
            "pool/main/m/manpages/manpages_6.03-2_all.deb",
            "efa1ba4cd19ad7baeae959c9209a7eb74be2ebb858bcabb412597bfc9f588c91",
        ),
        (
            "pool/main/m/manpages/manpages-dev_6.03-2_all.deb",
            "96f55cb5e26231d5567c89b692bced63825a14a2d5bd18fdf16ea2ed44eb9838",
        ),
    ),
    "Spanish": (
        (
            "pool/main/m/manpages-l10n/manpages-es_4.18.1-1_all.deb",
            "d21e9f85e487f149ae45b5c525b2b1a70ae7fd38d4b05b47c8753042c66f4c2b",
        ),
    ),
    "Finnish": (
        (
            "pool/main/m/manpages-l10n/manpages-fi_4.18.1-1_all.deb",
            "a0491e7141cd540896388fd3d4f394fa96657838780bf7f213eb5e529b0880dd",
        ),
    ),
    "French": (
        (
            "pool/main/m/manpages-l10n/manpages-fr_4.18.1-1_all.deb",
            "ec29759cc0e4a44dc7719c1e32869d0060667049e584f09556f0d982b969ea33",
        ),
    ),
    "Hungarian": (
        (
            "pool/main/m/manpages-l10n/manpages-hu_4.18.1-1_all.deb",
            "f4f4556a25194958d08fe9c87c946294a1ad4bd2b265bdc71d9ae1883e5ea2cf",
        ),
    ),
    "Indonesian": (
        (
            "pool/main/m/manpages-l10n/manpages-id_4.18.1-1_all.deb",
            "b769b5398ecffe6db6e4170973a081bbd905e254ce768b34650ec1d1fb7ae9c2",
        ),
    ),
    "Italian": (
        (
            "pool/main/m/manpages-l10n/manpages-it_4.18.1-1_all.deb",
            "4b18e87cc1b6a930d40949ddc86fb8e84b50da1a862cd17e2a504eeb8e3b4e48",
        ),
    ),
    "Japanese": (
        (
            "pool/main/m/manpages-ja/manpages-ja_0.5.0.0.20221215+dfsg-1_all.deb",
            "4d270e9a1e83be4de0c072a110892a17dc9caa4b501257324006ac28d82c5743",
        ),
    ),
    "Dutch": (
        (
            "pool/main/m/manpages-l10n/manpages-nl_4.18.1-1_all.deb",
            "c1ac0e9fb2ff88a8d7f796042ce7d876fa8918e5d3367521c7f09dd885eb3b2d",
        ),
    ),
    "Polish": (
        (
            "pool/main/m/manpages-l10n/manpages-pl_4.18.1-1_all.deb",
            "31e518ea8331b5204d4fd0032037f96af1ba94a5afa4f0585dca1996b270cdf9",
        ),
    ),
    "Portuguese": (
        (
            "pool/main/m/manpages-l10n/manpages-pt-br_4.18.1-1_all.deb",
            "da971a7bc0107f7b74b4ae592d1d7cc6424fa7e77cc1808f5c110a07edaf3890",
        ),
    ),
    "Romanian": (
        (
            "pool/main/m/manpages-l10n/manpages-ro_4.18.1-1_all.deb",
            "1d1d32dbc090850c1e796fd51156ae3852e1cc46a22d712493800182817f6024",
        ),
    ),
    "Russian": (
        (
            "pool/main/m/manpages-l10n/manpages-ru_4.18.1-1_all.deb",
            "5d5821dad5840652ba9c1c6b85bdc785c1fc52148a71c18fab6658c9659244c0",
        ),
    ),
    "Swedish": (
        (
            "pool/main/m/manpages-l10n/manpages-sv_4.18.1-1_all.deb",
            "12b386ce4e11fadf3c05b55a813c81df129d244606ba3383da586d39a4a8cca4",
        ),
    ),
    "Ukrainian": (
        (
            "pool/main/m/manpages-l10n/manpages-uk_4.18.1-1_all.deb",
            "7ad64b12010584a6cc10a341ba561a6774e8493166524f386bcd9fd7cbebdd5b",
        ),
    ),
    "Vietnamese": (
        (
            "pool/main/m/manpages-l10n/manpages-vi_4.18.1-1_all.deb",
            "c3fb89f768663013c87babcad3fdd525588edb2c9a91a9d1c74dc33c1a6ee73b",
        ),
    ),
    "Chinese": (
        (
            "pool/main/m/manpages-zh/manpages-zh_1.6.4.0-1_all.deb",
            "81bae29495f6445db290e3f329f1203eb19b651c2a7ea165b74ebdc853a32ac1",
        ),
    ),
}

WORDS = {
    "Czech": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-cs_7.5.0-1_all.deb",
        "2ca09be6c556c0f383c4876fd7e97e36d3dac8510f5b6f703f3c447d143088ad",
    ),
    "Danish": (
        "pool/main/d/dsdo/wdanish_1.6.36-14_all.deb",
        "221d3ee8bb0fb84559473687224c746fb1c392330e4142c3f24517ab8e8ad980",
    ),
    "Dutch": (
        "pool/main/d/dutch/wdutch_2.20.19-2_all.deb",
        "79dc0dbbd9b3e029ba84423a804c635aca87105521962f9b4c3023399c94dc35",
    ),
    "English": (
        "pool/main/s/scowl/wamerican_2020.12.07-2_all.deb",
        "c8f8e2b2ad0d37bfdd41f0e40f1e4c8e5f907467d768a1d3698b164e9617f0b4",
    ),
    "French": (
        "pool/main/w/wfrench/wfrench_1.2.7-2_all.deb",
        "a5cbe63b988adbdb973983aab5b76fe2b715e9a37b012f31ad1e925b1a4b4c29",
    ),
    "German": (
        "pool/main/i/igerman98/wngerman_20161207-11_all.deb",
        "9053a69641bcf59233055f1b3ca341046751534b2b32d1e32c67b23ab9b98fec",
    ),
    "Hungarian": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-hu_7.5.0-1_all.deb",
        "364f79a263be6c7d6d25a9b001c4984de02377a0f6b4c3ffb0a2f10008d39c80",
    ),
    "Indonesian": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-id_7.5.0-1_all.deb",
        "8b81edcfd868ede25b1f068a7b3982e2965376de566d11886d22d06e4cfce809",
    ),
    "Italian": (
        "pool/main/w/witalian/witalian_1.10_all.deb",
        "dc6eb1423726ce838332936db078406b646d0f3773701a5b1566a68495ddf076",
    ),
    "Polish": (
        "pool/main/i/ipolish/wpolish_20220301-1_all.deb",
        "78d94681b9838aeb8419629d5ce378085e0db6a22517c3c170aa883451cc9ccf",
    ),
    "Portuguese": (
        "pool/main/i/ispell.pt/wportuguese_20220621-1_all.deb",
        "82d6aeca20d072bbe962db68e4c50d3cce76ecb12295608692dff4638daec2a0",
    ),
    "Romanian": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-ro_7.5.0-1_all.deb",
        "2a2f11f37a9cd499ca76d1fc2dd4f3f509db402b86c9a733faf4e78661c65325",
    ),
    "Russian": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-ru_7.5.0-1_all.deb",
        "ef3f0a54a8e52682be80932e414b97d7d268d4a33dfcb5b27b46142b5d84cfe3",
    ),
    "Spanish": (
        "pool/main/w/wspanish/wspanish_1.0.30_all.deb",
        "a2b7504fb8c12deaf6c4e868f749a3d05a42caee348f0f5bb006238e925cde18",
    ),
    "Swedish": (
        "pool/main/s/swedish/wswedish_1.4.5-3_all.deb",
        "be46153a738e7db1e4c8f1212e850197da4ab50c5edc543b3fb48d908b8d9f2a",
    ),
    "Ukrainian": (
        "pool/main/i/ispell-uk/wukrainian_1.8.0+dfsg-1_all.deb",
        "19f04ca296dd512095c378168f7812d67b1b31e7f6622d9a20e5dac834482846",
    ),
    "Vietnamese": (
        "pool/main/libr/libreoffice-dictionaries/hunspell-vi_7.5.0-1_all.deb",
        "d8c801d7e30b9486de53d70dd537f5bbb46a93a66803c5e15e652d3ca19389ec",
    ),
}
"""No list is kept for Finnish; Japanese and Chinese have no spaces between words."""
