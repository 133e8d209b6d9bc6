"""The manual pages of each language: packages of Debian 12, and their digests."""

PACKAGES = {
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
