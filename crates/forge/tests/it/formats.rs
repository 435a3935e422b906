//! The files as people and other programs find them: version 1, frozen.

use forge::simulator::Bypass;
use forge::{LeaseOutcome, NewRelease, ReviewState, StatusState};

use crate::shop::{Shop, environment};

#[test]
fn every_file_is_one_readable_object_with_a_version() {
    let shop = Shop::new();
    let pull = shop.pull();
    let (robot, head) = (shop.forge("robot"), pull.head.as_str());
    shop.at(2);
    robot.set_status(&pull.head, None, "orchestrator/lock", StatusState::Success, "6 services").unwrap();
    shop.at(3);
    robot.upsert_comment(1, "lock", "# The lock\n").unwrap();
    shop.at(4);
    shop.forge("ben").simulator().submit_review(1, &pull.head, ReviewState::Approved, "tried it").unwrap();
    shop.at(5);
    shop.forge("cara").simulator().dismiss_review(1, 1, "too early").unwrap();
    shop.at(6);
    shop.forge("root").simulator().merge(1, &pull.head, Bypass::Yes).unwrap();
    let staging = shop.rev("refs/heads/staging");
    let release = NewRelease::new("release-1".try_into().unwrap(), staging.clone(), "Release 1\n")
        .asset("lock.yaml", b"version: 1\n");
    shop.at(7);
    robot.create_release(&release).unwrap();
    shop.at(8);
    let LeaseOutcome::Held(lease) = robot.lease(&environment("staging"), "run 7").unwrap() else { panic!("busy") };

    let tree = shop.bare.tree(head);
    let status = format!("statuses/{head}/orchestrator%2Flock.json");
    let mut all = String::new();
    for file in [
        "branches.json",
        "pulls/1.json",
        "pulls/1/comments/lock.json",
        "pulls/1/reviews/1.json",
        &status,
        "releases/release-1/release.json",
        "bypasses/1.json",
        "leases/staging.json",
    ] {
        let text = std::fs::read_to_string(shop.file(file)).unwrap();
        all = format!("{all}{file}\n{text}");
    }
    for (id, name) in [
        (head, "[HEAD]"),
        (pull.base.as_str(), "[BASE]"),
        (tree.as_str(), "[TREE]"),
        (staging.as_str(), "[MERGE]"),
        (head.get(..12).unwrap(), "[HEAD12]"),
    ] {
        all = all.replace(id, name);
    }
    assert_eq!(all, EXPECTED);
    drop(lease);
    assert!(!shop.file("leases/staging.json").exists());
    let users = std::fs::read_to_string(shop.file("users.json")).unwrap();
    let begin =
        "{\n  \"version\": 1,\n  \"users\": {\n    \"ana\": {\n      \"role\": \"write\",\n      \"bot\": false";
    assert!(users.starts_with(begin), "{users}");
}

const EXPECTED: &str = r##"branches.json
{
  "version": 1,
  "protected": {
    "main": {
      "required_statuses": [
        {
          "context": "orchestrator/staging-proof",
          "source": "robot"
        }
      ],
      "bypass": []
    },
    "staging": {
      "required_statuses": [
        {
          "context": "orchestrator/lock",
          "source": "robot"
        },
        {
          "context": "orchestrator/suites",
          "source": "robot"
        }
      ],
      "bypass": [
        "robot"
      ]
    }
  },
  "reserved": [
    "deploy/**",
    "orchestrator/**",
    "tag:release-*",
    "tag:migrated-*"
  ]
}
pulls/1.json
{
  "version": 1,
  "number": 1,
  "title": "dev into staging",
  "body": "What it brings.",
  "author": "ana",
  "state": "merged",
  "draft": false,
  "head_branch": "dev",
  "base_branch": "staging",
  "head": "[HEAD]",
  "base": "[BASE]",
  "merge": {
    "commit": "[MERGE]",
    "by": "root",
    "at": "2025-11-20T21:06:00Z",
    "bypassed": [
      "required status `orchestrator/suites` is missing on `[HEAD12]`"
    ]
  },
  "created_at": "2025-11-20T21:01:00Z",
  "updated_at": "2025-11-20T21:06:00Z"
}
pulls/1/comments/lock.json
{
  "version": 1,
  "marker": "lock",
  "comments": [
    {
      "user": "robot",
      "body": "# The lock\n",
      "created_at": "2025-11-20T21:03:00Z",
      "updated_at": "2025-11-20T21:03:00Z"
    }
  ]
}
pulls/1/reviews/1.json
{
  "version": 1,
  "seq": 1,
  "user": "ben",
  "stance": "approved",
  "body": "tried it",
  "commit": "[HEAD]",
  "tree": "[TREE]",
  "at": "2025-11-20T21:04:00Z",
  "dismissed": {
    "by": "cara",
    "reason": "too early",
    "at": "2025-11-20T21:05:00Z"
  }
}
statuses/[HEAD]/orchestrator%2Flock.json
{
  "version": 1,
  "context": "orchestrator/lock",
  "state": "success",
  "description": "6 services",
  "by": "robot",
  "at": "2025-11-20T21:02:00Z"
}
releases/release-1/release.json
{
  "version": 1,
  "tag": "release-1",
  "commit": "[MERGE]",
  "message": "Release 1\n",
  "assets": [
    {
      "name": "lock.yaml",
      "digest": "sha256:09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847",
      "size": 11
    }
  ],
  "by": "robot",
  "at": "2025-11-20T21:07:00Z"
}
bypasses/1.json
{
  "version": 1,
  "seq": 1,
  "branch": "staging",
  "before": "[BASE]",
  "after": "[MERGE]",
  "pull_request": 1,
  "by": "root",
  "at": "2025-11-20T21:06:00Z",
  "rules": [
    "required status `orchestrator/suites` is missing on `[HEAD12]`"
  ]
}
leases/staging.json
{
  "version": 1,
  "environment": "staging",
  "holder": "run 7",
  "since": "2025-11-20T21:08:00Z"
}
"##;
