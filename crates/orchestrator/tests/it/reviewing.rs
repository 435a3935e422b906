//! An approval names the head that was looked at.

use std::sync::Mutex;

use git::CommitIdentity;
use lock_model::{CommitId, CommitPrefix, Timestamp};
use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{ReviewState, StatusState};
use orchestrator::pull_requests::{
    ReviewRequest, check_pull_request, close_pull_request, find_pull_request, merge_pull_request, review_pull_request,
    view_pull_request,
};
use orchestrator::report::v1::ForgeReviewReport;
use orchestrator::{Error, ErrorKind, approvals};

use crate::shop::{BOT, Shop, fails, proven, staging, write};

/// `ana` approves, with or without a head.
async fn approve(shop: &Shop, number: u64, head: Option<&str>) -> Result<ForgeReviewReport, Error> {
    let mut request = ReviewRequest::new(number, ReviewState::Approved);
    request.expected_head = head.map(|head| head.try_into().unwrap());
    review_pull_request(&shop.context("ana"), &request).await
}

/// The head of the promotion, and one that `dana` pushes afterwards.
fn push(shop: &Shop) -> (CommitId, CommitId) {
    let before = shop.head("staging").unwrap();
    (before, shop.commit("staging", &[write("README.md", "# In a hurry\n")], "in a hurry"))
}

fn reviews(shop: &Shop, number: u64) -> usize {
    shop.forge(BOT).reviews(number).unwrap().len()
}

#[tokio::test]
async fn t52_an_approval_without_a_head_is_refused_with_the_command_for_what_was_shown() {
    let shop = proven();
    let unseen = fails(approve(&shop, 2, None).await, ErrorKind::Usage);
    assert!(unseen.hints()[0].contains("`orchestrator --as ana forge pr view 2`"), "{:?}", unseen.hints());

    let shown = view_pull_request(&shop.context("ana"), 2).await.unwrap();
    let head = shop.head("staging").unwrap();
    let command = format!("orchestrator --as ana forge pr review 2 --approve --expected-head {head}");
    assert_eq!(shown.approve.as_deref(), Some(command.as_str()));
    let (_, later) = push(&shop);
    let seen = fails(approve(&shop, 2, None).await, ErrorKind::Usage);
    // The command is for what `ana` saw, not for what is there now.
    assert!(seen.hints()[0].contains(&command), "{:?}", seen.hints());
    assert!(!seen.hints()[0].contains(later.as_str()));
    // What one person was shown says nothing about another.
    let ben = review_pull_request(&shop.context("ben"), &ReviewRequest::new(2, ReviewState::Approved)).await;
    assert!(fails(ben, ErrorKind::Usage).hints()[0].contains("--as ben forge pr view 2"));
    assert_eq!(reviews(&shop, 2), 0);
    // Other stances need no head.
    for state in [ReviewState::ChangesRequested, ReviewState::Commented, ReviewState::Dismissed] {
        let mut request = ReviewRequest::new(2, state);
        "look at the cart".clone_into(&mut request.body);
        review_pull_request(&shop.context("ana"), &request).await.unwrap();
    }
}

#[tokio::test]
async fn an_approval_that_does_not_count_says_so_at_once() {
    let shop = proven();
    let mut request = ReviewRequest::new(2, ReviewState::Approved);
    request.expected_head = Some((&shop.head("staging").unwrap()).into());
    let ana = review_pull_request(&shop.context("ana"), &request).await.unwrap();
    assert_eq!(ana.warnings, [""; 0]);
    let author = shop.forge(BOT).pull_request(1).unwrap().author;
    let carried = review_pull_request(&shop.context(author.as_str()), &request).await.unwrap();
    let expected = format!("this approval does not count for `production`: `{author}` opened #1, which is carried");
    assert_eq!(carried.warnings, [expected]);
}

#[tokio::test]
async fn t52_who_cannot_approve_is_shown_no_command() {
    let shop = proven();
    assert_eq!(view_pull_request(&shop.bot(), 2).await.unwrap().approve, None, "a bot");
    assert_eq!(view_pull_request(&shop.context("dana"), 1).await.unwrap().approve, None, "it is merged");
    shop.commit("dev", &[write("README.md", "# Next\n")], "next");
    let number = shop.open_pull_request("dev", "staging").await;
    assert_eq!(view_pull_request(&shop.context("dana"), number).await.unwrap().approve, None, "she opened it");
    assert!(view_pull_request(&shop.context("ben"), number).await.unwrap().approve.is_some());
}

#[tokio::test]
async fn t52_a_head_that_moved_is_not_approved() {
    let shop = proven();
    let (old, new) = push(&shop);
    for named in [old.as_str(), old.short(12), old.short(7)] {
        let error = fails(approve(&shop, 2, Some(named)).await, ErrorKind::Refused);
        assert!(error.message().contains(named) && error.message().contains(new.as_str()), "{error}");
        assert!(error.hints()[0].contains(&format!("git diff {named} {new}")), "{:?}", error.hints());
    }
    // The same holds for a verdict that names a head without having to.
    let mut request = ReviewRequest::new(2, ReviewState::ChangesRequested);
    "not like this".clone_into(&mut request.body);
    request.expected_head = Some((&old).into());
    fails(review_pull_request(&shop.context("ana"), &request).await, ErrorKind::Refused);
    assert_eq!(reviews(&shop, 2), 0);
    assert_eq!(approve(&shop, 2, Some(new.short(7))).await.unwrap().commit, new);
}

#[tokio::test]
async fn t52_a_question_names_the_head_that_was_shown_last() {
    let shop = proven();
    let asked = Mutex::new(Vec::new());
    let ask = async |answer: bool| {
        let answering = |question: &str| {
            asked.lock().unwrap().push(question.to_owned());
            answer
        };
        let mut request = ReviewRequest::new(2, ReviewState::Approved);
        request.ask = Some(&answering);
        review_pull_request(&shop.context("ana"), &request).await
    };
    // Nothing was shown: there is nothing to say yes to.
    fails(ask(true).await, ErrorKind::Usage);
    assert!(asked.lock().unwrap().is_empty());

    view_pull_request(&shop.context("ana"), 2).await.unwrap();
    let (old, new) = push(&shop);
    // A yes is for the head that was shown, which is not there any more.
    let error = fails(ask(true).await, ErrorKind::Refused);
    assert!(error.message().contains(new.as_str()), "{error}");
    assert!(asked.lock().unwrap()[0].contains(old.short(12)), "{asked:?}");
    view_pull_request(&shop.context("ana"), 2).await.unwrap();
    fails(ask(false).await, ErrorKind::Usage);
    assert_eq!(reviews(&shop, 2), 0);
    assert_eq!(ask(true).await.unwrap().commit, new);
}

#[tokio::test]
async fn t52_seven_digits_that_two_commits_share_name_neither() {
    let shop = proven();
    let git = shop.git();
    let tree = git.write_tree(None, &[write("README.md", "# A shop\n")]).unwrap();
    let who = CommitIdentity::new("Dana", "dana@shop.example", Timestamp::from_unix_seconds(1_763_672_400));
    let root = git.commit_tree(&tree, &[], "root", &who).unwrap();
    // The two messages were searched for: whoever pushes can do the same.
    let commits = ["look 1021", "look 4877"]
        .map(|message| git.commit_tree(&tree, std::slice::from_ref(&root), message, &who).unwrap());
    let [looked_at, pushed_later] = commits;
    assert_eq!(looked_at.short(7), pushed_later.short(7));
    shop.force("base", &root);
    shop.force("twins", &looked_at);
    let number = shop.open_pull_request("twins", "base").await;
    shop.force("twins", &pushed_later);

    let short = fails(approve(&shop, number, Some(looked_at.short(7))).await, ErrorKind::Usage);
    assert!(short.message().contains("several objects"), "{short}");
    fails(approve(&shop, number, Some(looked_at.as_str())).await, ErrorKind::Refused);
    assert_eq!(reviews(&shop, number), 0);
    assert_eq!(approve(&shop, number, Some(pushed_later.as_str())).await.unwrap().commit, pushed_later);
}

#[tokio::test]
async fn t52_too_few_digits_a_foreign_commit_and_a_pull_request_that_is_over() {
    for text in ["", "abc123", "main", "ABCDEF0", "abcdefg", "--stance", "abcdef0 "] {
        assert!(CommitPrefix::try_from(text).is_err(), "`{text}`");
    }
    let shop = proven();
    let head = shop.head("staging").unwrap();
    // A merge takes the same digits.
    let dana = shop.context("dana");
    for (digits, said) in
        [(shop.head("main").unwrap(), "the head of pull request 2 is"), (head.clone(), "cannot be merged")]
    {
        let prefix = CommitPrefix::try_from(digits.short(7)).unwrap();
        let error = fails(merge_pull_request(&dana, 2, Some(prefix), Bypass::No).await, ErrorKind::Refused);
        assert!(error.message().contains(said), "{error}");
    }
    let none = fails(approvals(&shop.bot(), &staging(), None).await, ErrorKind::Refused);
    assert!(none.hints()[0].contains("`orchestrator forge pr create --base staging"), "{:?}", none.hints());
    fails(approve(&shop, 2, Some(shop.head("main").unwrap().as_str())).await, ErrorKind::Refused);
    shop.forge("dana").simulator().close_pull_request(2).unwrap();
    let closed = fails(approve(&shop, 2, Some(head.as_str())).await, ErrorKind::Refused);
    assert_eq!(closed.message(), "the forge refuses to review pull request 2: it is closed");
    let merged = shop.forge(BOT).pull_request(1).unwrap().head;
    fails(approve(&shop, 1, Some(merged.as_str())).await, ErrorKind::Refused);
    assert_eq!(reviews(&shop, 2), 0);
}

#[tokio::test]
async fn a_view_has_all_that_an_approver_reads() {
    let shop = proven();
    shop.review("ana", 2, ReviewState::Approved).await;
    let mut request = ReviewRequest::new(2, ReviewState::Commented);
    fails(review_pull_request(&shop.context("ben"), &request).await, ErrorKind::Usage);
    "is **cart** tested?".clone_into(&mut request.body);
    review_pull_request(&shop.context("ben"), &request).await.unwrap();
    shop.forge(BOT).upsert_comment(2, "note", "| a |\n| --- |\n| b |\n").unwrap();

    let view = view_pull_request(&shop.context("ben"), 2).await.unwrap();
    let forge = shop.forge(BOT);
    assert_eq!(view.body, forge.pull_request(2).unwrap().body);
    assert!(view.body.contains("### Approvals"), "{}", view.body);
    let reviews: Vec<(&str, &str, &str)> =
        view.reviews.iter().map(|review| (review.user.as_str(), review.state.as_str(), review.body.as_str())).collect();
    assert_eq!(reviews, [("ana", "approved", "because"), ("ben", "commented", "is **cart** tested?")]);
    assert_eq!(view.comments.last().map(|comment| comment.body.as_str()), Some("| a |\n| --- |\n| b |\n"));
    // One of the two statuses that `main` asks for is there; the other one is missing, and is shown all the same.
    let statuses: Vec<(&str, &str, bool, bool)> = view
        .statuses
        .iter()
        .map(|status| (status.context.as_str(), status.state.as_str(), status.required, status.counts))
        .collect();
    let expected =
        [("orchestrator/approvals", "missing", true, false), ("orchestrator/staging-proof", "success", true, true)];
    assert_eq!(statuses, expected);
}

#[tokio::test]
async fn a_pull_request_is_named_by_number_or_branch_and_closed_with_a_reason() {
    let shop = proven();
    let named = async |text: &str| find_pull_request(&shop.context("ben"), &text.parse().unwrap()).await;
    for (text, number) in [("2", 2), ("#7", 7), ("staging", 2), ("dev", 1)] {
        assert_eq!(named(text).await.unwrap(), number, "{text}");
    }
    let nothing = fails(named("nothing").await, ErrorKind::Usage);
    assert!(nothing.message().contains("no pull request merges `nothing`"));
    assert!(!nothing.hints()[0].contains("did you mean"), "{nothing:?}");
    let misspelt = fails(named("stagign").await, ErrorKind::Usage);
    assert!(misspelt.hints()[0].starts_with("did you mean `staging`?"), "{misspelt:?}");
    let third = shop.open_pull_request("staging", "dev").await;
    let several = fails(named("staging").await, ErrorKind::Usage);
    assert_eq!(several.all_problems().iter().map(|one| one.subject.as_str()).collect::<Vec<_>>(), ["#2", "#3"]);
    for why in ["it is too late", "it was too late"] {
        close_pull_request(&shop.context("ana"), third, Some(why)).await.unwrap();
    }
    let comments = shop.forge(BOT).comments(third).unwrap();
    let said: Vec<(&str, &str)> = comments.iter().map(|one| (one.user.as_str(), one.body.as_str())).collect();
    assert_eq!(said, [("ana", "it was too late")]);
    assert_eq!(named("staging").await.unwrap(), 2);
}

#[tokio::test]
async fn checks_are_good_only_where_each_counts() {
    let shop = proven();
    let bot = shop.bot();
    let checks = check_pull_request(&bot, 2, false).await.unwrap();
    assert_eq!((checks.passed, checks.summary.as_str()), (false, "1 of 2 statuses are successful"));
    shop.review("ana", 2, ReviewState::Approved).await;
    shop.review("ben", 2, ReviewState::Approved).await;
    orchestrator::approvals(&bot, &crate::shop::production(), Some(2)).await.unwrap();
    assert!(check_pull_request(&bot, 2, false).await.unwrap().passed);
    // A failure that no rule asks for.
    let head = shop.head("staging").unwrap();
    let set = |who: &str, context: &str, state: StatusState| {
        shop.forge(who).set_status(&head, None, context, state, "said so").unwrap();
    };
    set("dana", "ci/lint", StatusState::Failure);
    assert!(!check_pull_request(&bot, 2, false).await.unwrap().passed);
    assert!(check_pull_request(&bot, 2, true).await.unwrap().passed);
    // A success that does not come from the bot.
    set("dana", "orchestrator/approvals", StatusState::Success);
    let foreign = check_pull_request(&bot, 2, true).await.unwrap();
    assert!(!foreign.passed);
    let problem = foreign.checks[0].problem.as_deref().unwrap();
    assert!(problem.contains("comes from `dana`; only `orchestrator` counts"), "{problem}");
    // Nothing is asked for on `dev`, and nothing is said: that is no yes.
    shop.force("feature", &shop.head("dev").unwrap());
    shop.commit("feature", &[write("README.md", "# Feature\n")], "feature");
    let feature = shop.open_pull_request("feature", "dev").await;
    assert!(!check_pull_request(&bot, feature, false).await.unwrap().passed);
}
