"""Shapes of tokens: rules of gitleaks b58d3f10 (https://github.com/gitleaks/gitleaks), under its license.

Patterns are those of gitleaks, written for Python's `re`; a token may also stand in an address or a sentence. Rules that
need the name of a service before the value, and those that `secret_rules` has, are left out.
"""

# MIT License
#
# Copyright (c) 2019 Zachary Rice
#
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
# documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
# rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
# persons to whom the Software is furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
# Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
# WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
# COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
# OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

# ruff: noqa: E501
# fmt: off

SHAPES: tuple[tuple[tuple[str, ...], str], ...] = (
    (('a3-',), '\\bA3-[A-Z0-9]{6}-(?:(?:[A-Z0-9]{11})|(?:[A-Z0-9]{6}-[A-Z0-9]{5}))-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}\\b'),  # 1password-secret-key
    (('ops_',), 'ops_eyJ[a-zA-Z0-9+/]{250,}={0,3}'),  # 1password-service-account-token
    (('p8e-',), '\\b(p8e-(?i:[a-z0-9]{32}))(?![a-zA-Z0-9])'),  # adobe-client-secret
    (('age-secret-key-1',), 'AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}'),  # age-secret-key
    (('ltai',), '\\b(LTAI(?i:[a-z0-9]{20}))(?![a-zA-Z0-9])'),  # alibaba-access-key-id
    (('sk-ant-admin01',), '\\b(sk-ant-admin01-[a-zA-Z0-9_\\-]{93}AA)(?![a-zA-Z0-9])'),  # anthropic-admin-api-key
    (('sk-ant-api03',), '\\b(sk-ant-api03-[a-zA-Z0-9_\\-]{93}AA)(?![a-zA-Z0-9])'),  # anthropic-api-key
    (('akcp',), '\\bAKCp[A-Za-z0-9]{69}\\b'),  # artifactory-api-key
    (('cmvmd',), '\\bcmVmd[A-Za-z0-9]{59}\\b'),  # artifactory-reference-token
    (('sc_', 'ext_', 'scauth_', 'authress_'), '\\b((?:sc|ext|scauth|authress)_(?i:[a-z0-9]{5,30}\\.[a-z0-9]{4,6}\\.(?-i:acc)[_-][a-z0-9-]{10,32}\\.[a-z0-9+/_=-]{30,120}))(?![a-zA-Z0-9])'),  # authress-service-client-access-key
    (('a3t', 'akia', 'asia', 'abia', 'acca'), '\\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\\b'),  # aws-access-token
    (('absk',), '\\b(ABSK[A-Za-z0-9+/]{109,269}={0,2})(?![a-zA-Z0-9])'),  # aws-amazon-bedrock-api-key-long-lived
    (('bedrock-api-key-',), 'bedrock-api-key-[Y]mVkcm9jay5hbWF6b25hd3MuY29t'),  # aws-amazon-bedrock-api-key-short-lived
    (('4b1d',), '\\b(4b1d[A-Za-z0-9]{38})\\b'),  # clickhouse-cloud-api-secret-key
    (('clojars_',), '(?i:CLOJARS_[a-z0-9]{60})'),  # clojars-api-token
    (('cloudflare', 'v1.0-'), '\\b(v1\\.0-[a-f0-9]{24}-[a-f0-9]{146})(?![a-zA-Z0-9])'),  # cloudflare-origin-ca-key
    (('dapi',), '\\b(dapi[a-f0-9]{32}(?:-\\d)?)(?![a-zA-Z0-9])'),  # databricks-api-token
    (('doo_v1_',), '\\b(doo_v1_[a-f0-9]{64})(?![a-zA-Z0-9])'),  # digitalocean-access-token
    (('dop_v1_',), '\\b(dop_v1_[a-f0-9]{64})(?![a-zA-Z0-9])'),  # digitalocean-pat
    (('dor_v1_',), '(?i:\\b(dor_v1_[a-f0-9]{64})(?![a-zA-Z0-9]))'),  # digitalocean-refresh-token
    (('dp.pt.',), 'dp\\.pt\\.(?i:[a-z0-9]{43})'),  # doppler-api-token
    (('duffel_',), 'duffel_(?:test|live)_(?i:[a-z0-9_\\-=]{43})'),  # duffel-api-token
    (('dt0c01.',), 'dt0c01\\.(?i:[a-z0-9]{24}\\.[a-z0-9]{64})'),  # dynatrace-api-token
    (('ezak',), '\\bEZAK(?i:[a-z0-9]{54}\\b)'),  # easypost-api-token
    (('eztk',), '\\bEZTK(?i:[a-z0-9]{54}\\b)'),  # easypost-test-api-token
    (('eaam', 'eaac'), '\\b(EAA[MC](?i:[a-z0-9]{100,}))(?![a-zA-Z0-9])'),  # facebook-page-access-token
    (('flwseck_test',), 'FLWSECK_TEST-(?i:[a-h0-9]{12})'),  # flutterwave-encryption-key
    (('flwpubk_test',), 'FLWPUBK_TEST-(?i:[a-h0-9]{32}-X)'),  # flutterwave-public-key
    (('flwseck_test',), 'FLWSECK_TEST-(?i:[a-h0-9]{32}-X)'),  # flutterwave-secret-key
    (('fo1_', 'fm1', 'fm2_'), '\\b((?:fo1_[\\w-]{43}|fm1[ar]_[a-zA-Z0-9+\\/]{100,}={0,3}|fm2_[a-zA-Z0-9+\\/]{100,}={0,3}))(?![a-zA-Z0-9])'),  # flyio-access-token
    (('fio-u-',), 'fio-u-(?i:[a-z0-9\\-_=]{64})'),  # frameio-api-token
    (('aiza',), '\\b(AIza[\\w-]{35})(?![a-zA-Z0-9])'),  # gcp-api-key
    (('ghu_', 'ghs_'), '(?:ghu|ghs)_[0-9a-zA-Z]{36}'),  # github-app-token
    (('github_pat_',), 'github_pat_\\w{82}'),  # github-fine-grained-pat
    (('gho_',), 'gho_[0-9a-zA-Z]{36}'),  # github-oauth
    (('ghp_',), 'ghp_[0-9a-zA-Z]{36}'),  # github-pat
    (('ghr_',), 'ghr_[0-9a-zA-Z]{36}'),  # github-refresh-token
    (('glcbt-',), 'glcbt-[0-9a-zA-Z]{1,5}_[0-9a-zA-Z_-]{20}'),  # gitlab-cicd-job-token
    (('gldt-',), 'gldt-[0-9a-zA-Z_\\-]{20}'),  # gitlab-deploy-token
    (('glffct-',), 'glffct-[0-9a-zA-Z_\\-]{20}'),  # gitlab-feature-flag-client-token
    (('glft-',), 'glft-[0-9a-zA-Z_\\-]{20}'),  # gitlab-feed-token
    (('glimt-',), 'glimt-[0-9a-zA-Z_\\-]{25}'),  # gitlab-incoming-mail-token
    (('glagent-',), 'glagent-[0-9a-zA-Z_\\-]{50}'),  # gitlab-kubernetes-agent-token
    (('gloas-',), 'gloas-[0-9a-zA-Z_\\-]{64}'),  # gitlab-oauth-app-secret
    (('glpat-',), 'glpat-[\\w-]{20}'),  # gitlab-pat
    (('glpat-',), '\\bglpat-[0-9a-zA-Z_-]{27,300}\\.[0-9a-z]{2}[0-9a-z]{7}\\b'),  # gitlab-pat-routable
    (('glptt-',), 'glptt-[0-9a-f]{40}'),  # gitlab-ptt
    (('gr1348941',), 'GR1348941[\\w-]{20}'),  # gitlab-rrt
    (('glrt-',), 'glrt-[0-9a-zA-Z_\\-]{20}'),  # gitlab-runner-authentication-token
    (('glrt-',), '\\bglrt-t\\d_[0-9a-zA-Z_\\-]{27,300}\\.[0-9a-z]{2}[0-9a-z]{7}\\b'),  # gitlab-runner-authentication-token-routable
    (('glsoat-',), 'glsoat-[0-9a-zA-Z_\\-]{20}'),  # gitlab-scim-token
    (('_gitlab_session=',), '_gitlab_session=[0-9a-z]{32}'),  # gitlab-session-cookie
    (('eyjrijoi',), '(?i:\\b(eyJrIjoi[A-Za-z0-9]{70,400}={0,3})(?![a-zA-Z0-9]))'),  # grafana-api-key
    (('glc_',), '(?i:\\b(glc_[A-Za-z0-9+/]{32,400}={0,3})(?![a-zA-Z0-9]))'),  # grafana-cloud-api-token
    (('glsa_',), '(?i:\\b(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})(?![a-zA-Z0-9]))'),  # grafana-service-account-token
    (('pat.', 'sat.'), '(?:pat|sat)\\.[a-zA-Z0-9_-]{22}\\.[a-zA-Z0-9]{24}\\.[a-zA-Z0-9]{20}'),  # harness-api-key
    (('atlasv1',), '(?i:[a-z0-9]{14}\\.(?-i:atlasv1)\\.[a-z0-9\\-_=]{60,70})'),  # hashicorp-tf-api-token
    (('hrku-aa',), '\\b((HRKU-AA[0-9a-zA-Z_-]{58}))(?![a-zA-Z0-9])'),  # heroku-api-key-v2
    (('hf_',), '\\b(hf_(?i:[a-z]{34}))(?![a-zA-Z0-9])'),  # huggingface-access-token
    (('api_org_',), '\\b(api_org_(?i:[a-z]{34}))(?![a-zA-Z0-9])'),  # huggingface-organization-api-token
    (('ico-',), '\\b(ico-[a-zA-Z0-9]{32})(?![a-zA-Z0-9])'),  # infracost-api-token
    (('intra', 's-s4t2ud-', 's-s4t2af-'), '\\b(s-s4t2(?:ud|af)-(?i:[abcdef0123456789]{64}))(?![a-zA-Z0-9])'),  # intra42-client-secret
    (('ey',), '\\b(ey[a-zA-Z0-9]{17,}\\.ey[a-zA-Z0-9\\/\\\\_-]{17,}\\.(?:[a-zA-Z0-9\\/\\\\_-]{10,}={0,2})?)(?![a-zA-Z0-9])'),  # jwt
    (('zxlk',), '\\bZXlK(?:(?P<alg>aGJHY2lPaU)|(?P<apu>aGNIVWlPaU)|(?P<apv>aGNIWWlPaU)|(?P<aud>aGRXUWlPaU)|(?P<b64>aU5qUWlP)|(?P<crit>amNtbDBJanBi)|(?P<cty>amRIa2lPaU)|(?P<epk>bGNHc2lPbn)|(?P<enc>bGJtTWlPaU)|(?P<jku>cWEzVWlPaU)|(?P<jwk>cWQyc2lPb)|(?P<iss>cGMzTWlPaU)|(?P<iv>cGRpSTZJ)|(?P<kid>cmFXUWlP)|(?P<key_ops>clpYbGZiM0J6SWpwY)|(?P<kty>cmRIa2lPaUp)|(?P<nonce>dWIyNWpaU0k2)|(?P<p2c>d01tTWlP)|(?P<p2s>d01uTWlPaU)|(?P<ppt>d2NIUWlPaU)|(?P<sub>emRXSWlPaU)|(?P<svt>emRuUWlP)|(?P<tag>MFlXY2lPaU)|(?P<typ>MGVYQWlPaUp)|(?P<url>MWNtd2l)|(?P<use>MWMyVWlPaUp)|(?P<ver>MlpYSWlPaU)|(?P<version>MlpYSnphVzl1SWpv)|(?P<x>NElqb2)|(?P<x5c>NE5XTWlP)|(?P<x5t>NE5YUWlPaU)|(?P<x5ts256>NE5YUWpVekkxTmlJNkl)|(?P<x5u>NE5YVWlPaU)|(?P<zip>NmFYQWlPaU))[a-zA-Z0-9\\/\\\\_+\\-\\r\\n]{40,}={0,2}'),  # jwt-base64
    (('lin_api_',), 'lin_api_(?i:[a-z0-9]{40})'),  # linear-api-key
    (('_mmk',), '\\b([A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk)(?![a-zA-Z0-9])'),  # maxmind-license-key
    (('webhook.office.com', 'webhookb2', 'incomingwebhook'), 'https://[a-z0-9]+\\.webhook\\.office\\.com/webhookb2/[a-z0-9]{8}-([a-z0-9]{4}-){3}[a-z0-9]{12}@[a-z0-9]{8}-([a-z0-9]{4}-){3}[a-z0-9]{12}/IncomingWebhook/[a-z0-9]{32}/[a-z0-9]{8}-([a-z0-9]{4}-){3}[a-z0-9]{12}'),  # microsoft-teams-webhook
    (('ntn_',), '\\b(ntn_[0-9]{11}[A-Za-z0-9]{32}[A-Za-z0-9]{3})(?![a-zA-Z0-9])'),  # notion-api-token
    (('npm_',), '(?i:\\b(npm_[a-z0-9]{36})(?![a-zA-Z0-9]))'),  # npm-access-token
    (('api-',), '\\b(API-[A-Z0-9]{26})(?![a-zA-Z0-9])'),  # octopus-deploy-api-key
    (('t3blbkfj',), '\\b(sk-(?:proj|svcacct|admin)-(?:[A-Za-z0-9_-]{74}|[A-Za-z0-9_-]{58})T3BlbkFJ(?:[A-Za-z0-9_-]{74}|[A-Za-z0-9_-]{58})\\b|sk-[a-zA-Z0-9]{20}T3BlbkFJ[a-zA-Z0-9]{20})(?![a-zA-Z0-9])'),  # openai-api-key
    (('sha256~',), '\\b(sha256~[\\w-]{43})(?![\\w-])'),  # openshift-user-token
    (('pplx-',), '\\b(pplx-[a-zA-Z0-9]{48})(?![a-zA-Z0-9])'),  # perplexity-api-key
    (('pscale_tkn_',), '\\b(pscale_tkn_(?i:[\\w=\\.-]{32,64}))(?![a-zA-Z0-9])'),  # planetscale-api-token
    (('pscale_oauth_',), '\\b(pscale_oauth_[\\w=\\.-]{32,64})(?![a-zA-Z0-9])'),  # planetscale-oauth-token
    (('pscale_pw_',), '(?i:\\b(pscale_pw_(?i:[\\w=\\.-]{32,64}))(?![a-zA-Z0-9]))'),  # planetscale-password
    (('pmak-',), '\\b(PMAK-(?i:[a-f0-9]{24}\\-[a-f0-9]{34}))(?![a-zA-Z0-9])'),  # postman-api-token
    (('pnu_',), '\\b(pnu_[a-zA-Z0-9]{36})(?![a-zA-Z0-9])'),  # prefect-api-token
    (('pul-',), '\\b(pul-[a-f0-9]{40})(?![a-zA-Z0-9])'),  # pulumi-api-token
    (('pypi-ageichlwas5vcmc',), 'pypi-AgEIcHlwaS5vcmc[\\w-]{50,1000}'),  # pypi-upload-token
    (('rdme_',), '\\b(rdme_[a-z0-9]{70})(?![a-zA-Z0-9])'),  # readme-api-token
    (('rubygems_',), '\\b(rubygems_[a-f0-9]{48})(?![a-zA-Z0-9])'),  # rubygems-api-token
    (('tk-us-',), '\\b(tk-us-[\\w-]{48})(?![a-zA-Z0-9])'),  # scalingo-api-token
    (('sg.',), '\\b(SG\\.(?i:[a-z0-9=_\\-\\.]{66}))(?![a-zA-Z0-9])'),  # sendgrid-api-token
    (('xkeysib-',), '\\b(xkeysib-[a-f0-9]{64}\\-(?i:[a-z0-9]{16}))(?![a-zA-Z0-9])'),  # sendinblue-api-token
    (('sntrys_eyjpyxqio',), '\\bsntrys_eyJpYXQiO[a-zA-Z0-9+/]{10,200}(?:LCJyZWdpb25fdXJs|InJlZ2lvbl91cmwi|cmVnaW9uX3VybCI6)[a-zA-Z0-9+/]{10,200}={0,2}_[a-zA-Z0-9+/]{43}(?![a-zA-Z0-9+/])'),  # sentry-org-token
    (('sntryu_',), '\\b(sntryu_[a-f0-9]{64})(?![a-zA-Z0-9])'),  # sentry-user-token
    (('sm_aat',), '\\b(sm_aat_[a-zA-Z0-9]{16})(?![a-zA-Z0-9])'),  # settlemint-application-access-token
    (('sm_pat',), '\\b(sm_pat_[a-zA-Z0-9]{16})(?![a-zA-Z0-9])'),  # settlemint-personal-access-token
    (('sm_sat',), '\\b(sm_sat_[a-zA-Z0-9]{16})(?![a-zA-Z0-9])'),  # settlemint-service-access-token
    (('shippo_',), '\\b(shippo_(?:live|test)_[a-fA-F0-9]{40})(?![a-zA-Z0-9])'),  # shippo-api-token
    (('shpat_',), 'shpat_[a-fA-F0-9]{32}'),  # shopify-access-token
    (('shpca_',), 'shpca_[a-fA-F0-9]{32}'),  # shopify-custom-access-token
    (('shppa_',), 'shppa_[a-fA-F0-9]{32}'),  # shopify-private-app-access-token
    (('shpss_',), 'shpss_[a-fA-F0-9]{32}'),  # shopify-shared-secret
    (('xapp',), '(?i:xapp-\\d-[A-Z0-9]+-\\d+-[a-z0-9]+)'),  # slack-app-token
    (('xoxb',), 'xoxb-[0-9]{10,13}-[0-9]{10,13}[a-zA-Z0-9-]*'),  # slack-bot-token
    (('xoxe-',), '(?i:xoxe-\\d-[A-Z0-9]{146})'),  # slack-config-refresh-token
    (('xoxb',), 'xoxb-[0-9]{8,14}-[a-zA-Z0-9]{18,26}'),  # slack-legacy-bot-token
    (('xoxo', 'xoxs'), 'xox[os]-\\d+-\\d+-\\d+-[a-fA-F\\d]+'),  # slack-legacy-token
    (('xoxa', 'xoxr'), 'xox[ar]-(?:\\d-)?[0-9a-zA-Z]{8,48}'),  # slack-legacy-workspace-token
    (('xoxp-', 'xoxe-'), 'xox[pe](?:-[0-9]{10,13}){3}-[a-zA-Z0-9-]{28,34}'),  # slack-user-token
    (('sq0atp-', 'eaaa'), '\\b((?:EAAA|sq0atp-)[\\w-]{22,60})(?![a-zA-Z0-9])'),  # square-access-token
    (('sk_test', 'sk_live', 'sk_prod', 'rk_test', 'rk_live', 'rk_prod'), '\\b((?:sk|rk)_(?:test|live|prod)_[a-zA-Z0-9]{10,99})(?![a-zA-Z0-9])'),  # stripe-access-token
    (('hvb.',), '\\b(hvb\\.[\\w-]{138,300})(?![a-zA-Z0-9])'),  # vault-batch-token
)
"""For each: texts in lower case, one of which is in every token; and its pattern, which knows cases."""
